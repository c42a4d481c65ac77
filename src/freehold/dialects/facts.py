"""What a request's translation must be told about the upstream, because the body does not say it."""

from __future__ import annotations

import msgspec


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`model` is the upstream's model id, which goes into the body. `answer_id` and `created_s`
    (Unix seconds) go into the answer.

    `provider` is the upstream's id in the price table: "openai" gets fields that only OpenAI's own
    service knows, others do not (several answer 400 to them). `same_maker`: signed reasoning in the
    history was made by this upstream and may go back. `ask_usage`: ask a chat upstream for usage in
    its stream. `default_max_tokens`: for Messages, which demands a limit. `takes_effort` and
    `system_anywhere` (the chat template accepts system text in mid-conversation): None when not
    known, then the model's name and the provider decide.
    """

    model: str
    answer_id: str
    created_s: int
    provider: str = ""
    same_maker: bool = False
    ask_usage: bool = True
    default_max_tokens: int = 4096
    takes_effort: bool | None = None
    system_anywhere: bool | None = None

"""Help for prompt caches on the way to who speaks Anthropic's dialect: marks, and a first line that does not
change with every call."""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.cache.prompt_marks import PrefixMemory, marked, without_attribution
from freehold.gateway.prepared import Prepared
from freehold.gateway.targets import Target

_ANTHROPIC = "anthropic"


class Marker:
    """Remembers which prompts begin alike. `which`: requests that were translated for Anthropic, or all."""

    def __init__(self, which: Literal["translated", "all"]) -> None:
        self._all = which == "all"
        self._prefixes = PrefixMemory()

    def mark(self, prepared: Prepared, target: Target, now_ms: int) -> Prepared:
        """The same request with marks, where they pay; for others than Anthropic itself without Claude Code's
        line about itself, which is told as a loss."""
        if prepared.dialect != "messages" or not prepared.target.startswith(b"/v1/messages"):
            return prepared
        if target.price_id != _ANTHROPIC:
            body = without_attribution(prepared.body)
            if body is not prepared.body:
                losses = (*prepared.losses, "attribution_line")
                prepared = msgspec.structs.replace(prepared, body=body, losses=losses)
        if prepared.context is None and not self._all:
            return prepared
        found = marked(prepared.body, target.deployment.model_id, self._prefixes, now_ms)
        return msgspec.structs.replace(prepared, body=found.body) if found.marks else prepared

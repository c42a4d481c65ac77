"""Thinking and sampling of a messages request: they restrict each other.

What the API refuses (its own 400s): thinking with a forced tool choice; with a temperature other than
1, with `top_k` or a low `top_p`; a budget below 1,024 or not below `max_tokens`; manual thinking
when the open tool loop began without it; any sampling on models from 4.7 on.
"""

from __future__ import annotations

from freehold.dialects.conversation import Conversation, Effort, JsonObject, Thinking, ToolResult
from freehold.dialects.efforts import Claude, budget_of
from freehold.dialects.facts import RequestFacts
from freehold.dialects.fields import Losses
from freehold.dialects.toolchoice import Offer

_LEAST_BUDGET = 1024
_LEAST_TOP_P = 0.95
_WORDS: dict[Effort, str] = {"minimal": "low"}


def thinking_and_sampling(
    conversation: Conversation, offer: Offer, facts: RequestFacts, model: Claude, losses: Losses
) -> JsonObject:
    """`thinking`, `output_config.effort`, `max_tokens`, `temperature`, `top_p`, `top_k`."""
    found = _thinking(conversation, offer, facts, model, losses)
    thinks = found.get("thinking") not in (None, {"type": "disabled"})
    found.update(_sampling(conversation, model, thinks, losses))
    return found


def _thinking(
    conversation: Conversation, offer: Offer, facts: RequestFacts, model: Claude, losses: Losses
) -> JsonObject:
    limit = conversation.sampling.max_tokens
    wish = conversation.reasoning
    effort = wish.effort if wish else None
    plain: JsonObject = {"max_tokens": limit or facts.default_max_tokens}
    if wish is None or effort is None:
        return plain
    if effort == "none":
        return {**plain, "thinking": {"type": "disabled"}} if model.adaptive else plain
    forced = offer.choice is not None and offer.choice.mode in ("required", "tool")
    budget = budget_of(effort)
    if model.adaptive:
        found: JsonObject = {
            "max_tokens": limit or facts.default_max_tokens + budget,
            "output_config": {"effort": _effort_word(effort, model, losses)},
        }
        if forced:
            losses.add("reasoning_effort")
        else:
            found["thinking"] = {"type": "adaptive"}
        return found
    if limit:
        budget = min(budget, limit - 1)
    if forced or budget < _LEAST_BUDGET or _loop_without_thinking(conversation, facts):
        losses.add("reasoning_effort")
        return plain
    return {
        "max_tokens": limit or facts.default_max_tokens + budget,
        "thinking": {"type": "enabled", "budget_tokens": budget},
    }


def _effort_word(effort: Effort, model: Claude, losses: Losses) -> str:
    if effort == "xhigh" and model.samples:  # 4.6 knows low, medium, high, max
        losses.add("reasoning_effort")
        return "high"
    return _WORDS.get(effort, effort)


def _loop_without_thinking(conversation: Conversation, facts: RequestFacts) -> bool:
    """Whether the last turn answers tool calls that were made without thinking that may go back."""
    turns = conversation.turns
    if not turns or not any(isinstance(part, ToolResult) for part in turns[-1].parts):
        return False
    for turn in reversed(turns):
        if any(isinstance(part, Thinking) and part.maker == "messages" for part in turn.parts):
            return not facts.same_maker
        if turn.role == "user" and not any(isinstance(part, ToolResult) for part in turn.parts):
            break
    return True


def _sampling(conversation: Conversation, model: Claude, thinks: bool, losses: Losses) -> JsonObject:
    sampling = conversation.sampling
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None and temperature > 1:
        losses.add("temperature")
        temperature = 1
    if temperature is not None and temperature != 1 and (thinks or not model.samples):
        losses.add("temperature")
        temperature = None
    if not model.samples and temperature == 1:
        temperature = None  # the default, and the field itself is refused
    if top_p is not None and _refuses_top_p(top_p, temperature, model, thinks):
        if top_p != 1:
            losses.add("top_p")
        top_p = None
    if top_k is not None and (thinks or not model.samples):
        losses.add("top_k")
        top_k = None
    found: JsonObject = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return {name: value for name, value in found.items() if value is not None}


def _refuses_top_p(top_p: float, temperature: float | None, model: Claude, thinks: bool) -> bool:
    beside = model.one_sampler and temperature is not None
    return beside or not model.samples or (thinks and top_p < _LEAST_TOP_P)

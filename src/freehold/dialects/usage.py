"""A provider's usage object <-> the one record with disjoint buckets.

Habits that differ: OpenAI-like `prompt_tokens` *includes* cached, written, audio and image tokens,
Anthropic's `input_tokens` excludes the cache; most servers count reasoning inside the completion,
some beside it. What a token costs belongs to `costs`; estimating without a usage object too.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Annotated, Any, Literal, cast

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.usage import Usage

_Object = dict[str, Any]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

_MAX_COUNT = 2**53
"""No real count is larger; what is (a float overflow, a bug) is read as absent."""

_ADVISOR = "advisor_message"
"""The type of an iteration of Anthropic's in which another model was asked for advice."""


def usage_of(dialect: Dialect, raw: bytes) -> Usage:
    """Buckets of `raw`, the JSON bytes of the provider's usage object.

    Never raises for odd content: null, absent, negative or non-numeric counts are zero, unknown
    fields are ignored, and anything that is not an object is no usage. Never a negative bucket.
    `dialect` "ollama" takes the whole final object (`prompt_eval_count`, `eval_count`).
    """
    if dialect == "chat":
        try:
            plain = _decode_plain(raw)
        except (msgspec.MsgspecError, RecursionError):
            pass  # another habit, or more to say: the thorough reading below
        else:
            usage = _plainly(plain)
            if usage is not None:
                return usage
    found = _object(raw)
    if dialect == "ollama" and ("eval_count" in found or "prompt_eval_count" in found):
        return Usage(fresh_in=_count(found, "prompt_eval_count"), visible_out=_count(found, "eval_count"))
    if dialect == "messages" and not ("prompt_tokens" in found or "completion_tokens" in found):
        return _anthropic(found)
    return _openai(found)


class _PlainDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count = 0
    audio_tokens: Literal[0] | None = None


class _PlainOutput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count = 0
    audio_tokens: Literal[0] | None = None
    accepted_prediction_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual chat usage, read in a tenth of the time; anything more takes the thorough way."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PlainDetails | None = None
    completion_tokens_details: _PlainOutput | None = None


_decode_plain = msgspec.json.Decoder(_Plain).decode


def _plainly(plain: _Plain) -> Usage | None:
    """None where the sums do not fit: then somebody counts in another way."""
    prompt, output = plain.prompt_tokens, plain.completion_tokens
    details, said = plain.prompt_tokens_details, plain.completion_tokens_details
    read = details.cached_tokens if details is not None else 0
    reasoning = said.reasoning_tokens if said is not None else 0
    if prompt + output != plain.total_tokens or read > prompt or reasoning > output:
        return None
    return Usage(cache_read=read, fresh_in=prompt - read, reasoning=reasoning, visible_out=output - reasoning)


def _openai(found: _Object) -> Usage:
    """Chat, embeddings, images and Responses usage, and their imitators (vLLM, llama.cpp, SGLang,
    DeepSeek, Moonshot, OpenRouter, xAI, Gemini's compatible endpoint)."""
    details = _first_object(found, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out_details = _first_object(
        found, "completion_tokens_details", "output_tokens_details", "output_token_details"
    )
    prompt = _count(found, "prompt_tokens", "input_tokens")
    output = _count(found, "completion_tokens", "output_tokens")
    total = _count(found, "total_tokens")
    read = _first_count(
        (details, "cached_tokens"),
        (found, "prompt_cache_hit_tokens"),  # DeepSeek
        (found, "cache_read_input_tokens"),  # gateways that pass Anthropic's names through
        (found, "cached_tokens"),  # Moonshot
    )
    written_5m, written_1h = _written(found, details)
    cached = read + written_5m + written_1h
    reasoning = _first_count((out_details, "reasoning_tokens"), (found, "reasoning_tokens"))
    # This server excludes what it cached: it cannot be part of a smaller prompt, or the sum says so (which
    # it does not where named reasoning of the same size explains it as well: xAI).
    if cached > prompt or (cached and total == prompt + cached + output and reasoning != cached):
        prompt += cached
    output, reasoning = _with_reasoning(found, prompt, output, reasoning)
    if not prompt and not output and total:
        prompt = total  # rerankers and some embedding servers name only the total
    image_out = min(_count(out_details, "image_tokens"), output)
    audio_out = min(_count(out_details, "audio_tokens"), output - image_out)
    reasoning = min(reasoning, output - image_out - audio_out)
    inputs = _Room(prompt)
    shared = _first_object(details, "cached_tokens_details")
    return Usage(
        cache_read=inputs.take(read),
        cache_write_1h=inputs.take(written_1h),
        cache_write_5m=inputs.take(written_5m),
        audio_in=inputs.take(_count(details, "audio_tokens") - _count(shared, "audio_tokens")),
        image_in=inputs.take(_count(details, "image_tokens") - _count(shared, "image_tokens")),
        fresh_in=inputs.left,
        audio_out=audio_out,
        image_out=image_out,
        reasoning=reasoning,
        visible_out=output - image_out - audio_out - reasoning,
        web_searches=_searches(found),
    )


def _with_reasoning(found: _Object, prompt: int, output: int, reasoning: int) -> tuple[int, int]:
    """Output including reasoning, and the reasoning, whatever the server's habit.

    The total tells: xAI adds named reasoning tokens beside the completion, Gemini's compatible
    endpoint counts them in the total only. Without a total, more reasoning than output means beside.
    """
    total = _count(found, "total_tokens")
    has_output = "completion_tokens" in found or "output_tokens" in found
    beside = total - prompt - output if total and has_output else 0
    if reasoning:
        return (
            (output + reasoning, reasoning)
            if beside >= reasoning or reasoning > output
            else (output, reasoning)
        )
    return (output + beside, beside) if beside > 0 and prompt else (output, 0)


def _written(found: _Object, details: _Object) -> tuple[int, int]:
    """Tokens written to the cache: short retention (5 min, 30 min) and long (1 h, 12 h)."""
    written = _first_count(
        (details, "cache_write_tokens"),
        (details, "cache_creation_tokens"),
        (found, "cache_creation_input_tokens"),
    )
    split = _first_object(details, "cache_write_tokens_details")
    long = min(_count(split, "ttl_12h_tokens"), written)
    return written - long, long


def _anthropic(found: _Object) -> Usage:
    """Messages usage. A `compaction` iteration is paid for but not part of the top-level counts
    (anthropic-sdk-python `beta_usage.py`), so it is added. Where an advisor was asked, these tell the input
    of the first `message` iteration only, and each is paid for (platform.claude.com, "Advisor tool")."""
    usage = _anthropic_counts(found)
    parts = _list(found.get("iterations"))
    if any(part.get("type") == _ADVISOR for part in parts):
        turns = _total(_anthropic_counts(part) for part in parts if part.get("type") == "message")
        inputs = ("cache_read", "cache_write_1h", "cache_write_5m", "fresh_in")
        more = {name: max(getattr(usage, name), getattr(turns, name)) for name in inputs}
        usage = msgspec.structs.replace(usage, **more)
    return _total([usage, *(_anthropic_counts(part) for part in parts if part.get("type") == "compaction")])


def advisors_of(raw: bytes) -> list[tuple[str, Usage]]:
    """The models that advised the one that answered (Anthropic), each with what it used: `usage_of` leaves
    that out, for it is paid at their prices."""
    parts = _list(_object(raw).get("iterations"))
    told = [part for part in parts if part.get("type") == _ADVISOR]
    return [(str(part.get("model", "")), _anthropic_counts(part)) for part in told]


def _anthropic_counts(found: _Object) -> Usage:
    split = _first_object(found, "cache_creation")
    long = _count(split, "ephemeral_1h_input_tokens")
    written = max(
        _count(found, "cache_creation_input_tokens"), long + _count(split, "ephemeral_5m_input_tokens")
    )
    output = _count(found, "output_tokens")
    details = _first_object(found, "output_tokens_details")
    reasoning = min(output, _first_count((details, "thinking_tokens"), (details, "reasoning_tokens")))
    return Usage(
        cache_read=_count(found, "cache_read_input_tokens"),
        cache_write_1h=long,
        cache_write_5m=written - long,
        fresh_in=_count(found, "input_tokens"),
        reasoning=reasoning,
        visible_out=output - reasoning,
        web_searches=_searches(found),
    )


def usage_object(dialect: Dialect, usage: Usage) -> dict[str, object]:
    """The usage object that a client of `dialect` expects, details included."""
    written = usage.cache_write_5m + usage.cache_write_1h
    if dialect == "messages":
        return _messages_object(usage, written)
    if dialect == "ollama":
        return {"prompt_eval_count": usage.input_total, "eval_count": usage.output_total}
    prompt: dict[str, object] = {"cached_tokens": usage.cache_read}
    output: dict[str, object] = {"reasoning_tokens": usage.reasoning}
    if dialect == "responses" or written:
        prompt["cache_write_tokens"] = written
    prompt.update(_present(audio_tokens=usage.audio_in, image_tokens=usage.image_in))
    output.update(_present(audio_tokens=usage.audio_out, image_tokens=usage.image_out))
    names = ("input", "output") if dialect == "responses" else ("prompt", "completion")
    found: dict[str, object] = {
        f"{names[0]}_tokens": usage.input_total,
        f"{names[1]}_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        f"{names[0]}_tokens_details": prompt,
        f"{names[1]}_tokens_details": output,
    }
    if usage.web_searches and dialect == "chat":
        found["server_tool_use"] = {"web_search_requests": usage.web_searches}
    return found


def _messages_object(usage: Usage, written: int) -> dict[str, object]:
    found: dict[str, object] = {
        "input_tokens": usage.fresh_in + usage.audio_in + usage.image_in,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output_total,
    }
    if written:
        found["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.web_searches:
        found["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return found


class _Billed(msgspec.Struct):
    cost: msgspec.Raw = msgspec.Raw(b"null")
    cost_in_usd_ticks: Decimal | None = None
    is_byok: bool | None = None
    cost_details: msgspec.Raw = msgspec.Raw(b"null")


class _CostObject(msgspec.Struct):
    total_cost: Decimal | None = None


class _CostDetails(msgspec.Struct):
    upstream_inference_cost: Decimal | None = None


def billed_nanos(raw: bytes) -> int | None:
    """What the provider says it charged, in nano-USD, from the JSON bytes of its usage object.

    OpenRouter puts USD into `usage.cost`; with `is_byok` that is only its fee, and what the model's
    provider charges stands in `cost_details.upstream_inference_cost`. Perplexity makes `cost` an object
    with `total_cost`. None when absent, negative or not a number; half a nano rounds to even.
    """
    try:
        billed = msgspec.json.decode(raw, type=_Billed)
        amount = _amount(billed.cost)
        if amount is None:
            ticks = billed.cost_in_usd_ticks  # xAI: 10**10 a dollar
            return None if ticks is None else _nanos(ticks.scaleb(-10))
        if billed.is_byok:
            details = msgspec.json.decode(billed.cost_details, type=_CostDetails | None)
            amount += (details and details.upstream_inference_cost) or 0
    except (msgspec.DecodeError, ArithmeticError):  # numbers that are none, or beyond all bounds
        return None
    return _nanos(amount)


def _amount(cost: msgspec.Raw) -> Decimal | None:
    found = msgspec.json.decode(cost, type=Decimal | _CostObject | None)
    return found.total_cost if isinstance(found, _CostObject) else found


def _nanos(amount: Decimal) -> int | None:
    if not amount.is_finite() or amount < 0 or amount > 1_000_000_000:
        return None
    with localcontext() as context:
        context.prec = 60  # a billion dollars to a billionth needs 18 digits; the input may bring more
        return int((amount * 1_000_000_000).to_integral_value(ROUND_HALF_EVEN))


def merge_usage(earlier_raw: bytes | None, later_raw: bytes) -> bytes:
    """One usage object of a Messages stream: `message_start`'s, overlaid by a `message_delta`'s.

    Counts on a delta are cumulative totals, so they replace and never add; what a delta leaves out
    or nulls survives. A total cannot fall back to zero, so a later 0 does not erase a count
    (servers that fill unknown fields with zeros).
    """
    later = _object(later_raw)
    if earlier_raw is None:
        return msgspec.json.encode(later)
    return msgspec.json.encode(_overlay(_object(earlier_raw), later))


def _overlay(earlier: _Object, later: _Object) -> _Object:
    merged = dict(earlier)
    for key, value in later.items():
        known = merged.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merged[key] = _overlay(cast(_Object, known), cast(_Object, value))
        elif value is None or (value == 0 and isinstance(known, int | float)):
            merged.setdefault(key, value)
        else:
            merged[key] = value
    return merged


def with_tool_usage(raw: bytes, tools: bytes) -> bytes:
    """A Responses usage object that has in it what OpenAI tells beside it: searches that are billed."""
    searches = _count(_first_object(_object(tools), "web_search"), "num_requests")
    usage = _object(raw)
    if not searches or not usage:
        return raw
    return msgspec.json.encode(usage | {"tool_usage": {"web_search": {"num_requests": searches}}})


class _Room:
    """Tokens of a total that no bucket has claimed yet: what keeps buckets disjoint."""

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, wanted: int) -> int:
        taken = max(0, min(wanted, self.left))
        self.left -= taken
        return taken


def _object(raw: bytes) -> _Object:
    try:
        found: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return cast(_Object, found) if isinstance(found, dict) else {}


def _first_object(found: _Object, *keys: str) -> _Object:
    for key in keys:
        value: object = found.get(key)
        if isinstance(value, dict):
            return cast(_Object, value)
    return {}


def _list(value: object) -> list[_Object]:
    if not isinstance(value, list):
        return []
    return [cast(_Object, item) for item in cast(list[object], value) if isinstance(item, dict)]


def _first_count(*places: tuple[_Object, str]) -> int:
    """The first positive count among `places`."""
    for found, key in places:
        value = _count(found, key)
        if value:
            return value
    return 0


def _count(found: _Object, *keys: str) -> int:
    """The first of `keys` that holds a usable number; 0 when none does."""
    for key in keys:
        value: object = found.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
            return int(value)
    return 0


def _searches(found: _Object) -> int:
    tools = _first_object(found, "server_tool_use")
    told = _first_object(_first_object(found, "tool_usage"), "web_search")  # OpenAI
    return _first_count((tools, "web_search_requests"), (found, "num_search_queries"), (told, "num_requests"))


def _present(**counts: int) -> dict[str, object]:
    return {name: count for name, count in counts.items() if count}


def _total(parts: Iterable[Usage]) -> Usage:
    each = list(parts)
    return Usage(**{name: sum([getattr(part, name) for part in each]) for name in Usage.__struct_fields__})

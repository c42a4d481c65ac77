"""The dearest that an attempt can become, from the request as it goes upstream. Pure."""

from __future__ import annotations

import math

import msgspec

from freehold.costs.budgets.worst import (
    OUTPUT_TOKENS,
    InputBound,
    affordable_output,
    input_bound,
    worst_case_nanos,
)
from freehold.costs.prices import Rates
from freehold.costs.terms import STANDARD, Terms, terms_of
from freehold.gateway.endpoints import Endpoint
from freehold.gateway.prepared import Prepared
from freehold.gateway.request import Request
from freehold.gateway.targets import Target

_READS_ONLY = frozenset(("embeddings", "rerank", "moderations"))
"""Endpoints whose answers have no tokens."""
_FREE_PATHS = (b"/v1/files", b"/v1/uploads")
_FREE_METHODS = (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
_UNKNOWN_BYTES = 512 * 1024 * 1024
_BYTES_PER_TOKEN = 16
"""Of sound and pictures: a token stands for more in every coding."""
_DIGITS, _NO_COUNT = 9, 1e9
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Limits(msgspec.Struct):
    """What bounds an answer and its price, in all dialects."""

    max_tokens: object = None
    max_completion_tokens: object = None
    max_output_tokens: object = None
    service_tier: object = None
    speed: object = None
    inference_geo: object = None
    prediction: msgspec.Raw = msgspec.Raw()
    n: object = None
    best_of: object = None
    prompt: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Limits).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def costs_nothing(endpoint: Endpoint, request: Request) -> bool:
    """Whether no model works for such a request: counts, lists, files."""
    if endpoint.carriage == "count":
        return True
    if endpoint.carriage in ("relay", "stored"):
        return request.method in _FREE_METHODS or request.path.startswith(_FREE_PATHS)
    return False


def worst_nanos(
    rates: Rates | None, endpoint: Endpoint, prepared: Prepared, target: Target, length: int | None
) -> int | None:
    """Nano-USD; None: nobody can say. `length`: of an upload's body, which is not here as a whole."""
    if rates is None:
        return None
    if endpoint.carriage == "upload":
        tokens = (length or _UNKNOWN_BYTES) // _BYTES_PER_TOKEN
        return worst_case_nanos(rates, InputBound(tokens=tokens, audio=True), OUTPUT_TOKENS)
    bound = input_bound(prepared.body, marks_cache=target.anthropic)
    output = 0 if endpoint.name in _READS_ONLY else output_tokens(prepared.body)
    return worst_case_nanos(rates, bound, output)


def asked_terms(body: bytes) -> Terms:
    """On which terms a request wants to be answered, where these are not the standard ones."""
    if b'"service_tier"' not in body and b'"speed"' not in body and b'"inference_geo"' not in body:
        return STANDARD
    found = _read(body)
    return terms_of(found.service_tier, found.speed, found.inference_geo)


def output_tokens(body: bytes) -> int:
    """The most tokens that a request allows for all of its answers together. Of a predicted output, what the
    model did not say is billed as said (OpenAI, "Predicted Outputs"), beside its limit."""
    stated, times = _stated(body)
    said = (stated or OUTPUT_TOKENS) * times
    return said + len(bytes(_read(body).prediction)) if b'"prediction"' in body else said


def is_open(body: bytes, prepared: Prepared) -> bool:
    """Whether nothing is said of the answer's length: neither does the client's `body` state a limit, nor has
    the request a part that goes by it."""
    return not _says_length(body) and b'"budget_tokens"' not in prepared.body


def affordable(rates: Rates, body: bytes, prepared: Prepared, target: Target, left_nanos: int) -> int:
    """The most tokens for each answer of an open request with which the worst case is within `left_nanos`."""
    _, times = _stated(body)
    longest = limited(prepared, target, OUTPUT_TOKENS)  # the limit itself is read, too
    bound = input_bound(longest.body, marks_cache=target.anthropic)
    return affordable_output(rates, bound, left_nanos) // times


def limited(prepared: Prepared, target: Target, tokens: int) -> Prepared:
    """The same request with a limit for its answer, in the target's own words."""
    members = _members(prepared.body)
    name = "max_output_tokens" if prepared.dialect == "responses" else "max_tokens"
    if target.price_id == "openai" and prepared.target.endswith(b"/chat/completions"):
        name = "max_completion_tokens"
    members[name] = msgspec.Raw(b"%d" % tokens)
    return msgspec.structs.replace(prepared, body=msgspec.json.encode(members))


def _read(body: bytes) -> _Limits:
    """What cannot be read says nothing."""
    try:
        return _decode(body)
    except _UNREADABLE:
        return _Limits()


def _stated(body: bytes) -> tuple[int, int]:
    """What a request says of its answers: the most tokens of one (0: nothing), and how many of them."""
    found = _read(body)
    stated = max(map(_count, (found.max_tokens, found.max_completion_tokens, found.max_output_tokens)))
    return stated, max(1, *map(_count, (found.n, found.best_of))) * _prompts(bytes(found.prompt))


def _prompts(raw: bytes) -> int:
    """How many there are in one request for completions: each is answered."""
    if not raw.startswith(b"["):
        return 1
    parts = _list(raw)
    return len(parts) if parts and bytes(parts[0]).startswith((b'"', b"[")) else 1


def _count(value: object) -> int:
    """A number from 1, as lenient servers read it: also `100.0` and `"100"`; else 0."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < _NO_COUNT:
        return 0
    return math.ceil(value)


def _says_length(body: bytes) -> bool:
    """Whether a limit for the answer stands in the request, whatever it means."""
    found = _read(body)
    fields = (found.max_tokens, found.max_completion_tokens, found.max_output_tokens)
    return any(value is not None for value in fields)

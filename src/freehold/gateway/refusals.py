"""Why a call is not made: each refusal in words that say what was wrong and what to do. Pure."""

from __future__ import annotations

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.core.quantities import duration_words
from freehold.core.servers import LeaseRefusal
from freehold.costs.budgets.answers import Denial, refusal
from freehold.routing.choose import NoSuchModel
from freehold.routing.world import Decision


def no_place(path: str) -> CallError:
    return CallError(
        kind="not_found",
        status=404,
        code="unknown_path",
        message=f"{path}: no model is named, and no default provider is configured to answer this",
    )


def not_ready_in_time(wait_s: float) -> CallError:
    message = f"the model server was not ready within {wait_s:g} s"
    return CallError(kind="overloaded", status=503, message=message, retry_after_s=10)


LEASE_WORDS = {
    "failed": "failed",
    "stopped": "is stopped",
    "queue_full": "is full",
    "waited_too_long": "is busy",
    "quarantined": "refuses this request",
    "does_not_fit": "does not fit",
    "gone": "is gone",
}
"""What a route says of a server that gave no slot."""
_USUAL_RETRY_S = 10.0
"""Where nothing was measured yet."""
_LEASE_ERRORS = {
    "failed": CallError(kind="overloaded", status=503, code="server_failed", message=""),
    "stopped": CallError(kind="overloaded", status=503, code="server_stopped", message=""),
    "does_not_fit": CallError(kind="overloaded", status=503, code="does_not_fit", message=""),
    "queue_full": CallError(
        kind="overloaded", status=503, code="queue_full", message="", retry_after_s=_USUAL_RETRY_S
    ),
    "waited_too_long": CallError(
        kind="overloaded", status=503, code="waited_too_long", message="", retry_after_s=_USUAL_RETRY_S
    ),
    "quarantined": CallError(kind="invalid_request", status=422, code="request_quarantined", message=""),
    "gone": CallError(kind="not_found", status=404, code="model_not_found", message=""),
}
"""What will be better soon says when; a server that has failed, or does not fit, waits for a person."""


def no_lease(refusal: LeaseRefusal) -> CallError:
    """A server gave no slot."""
    error = _LEASE_ERRORS[refusal.code]
    retry_s = error.retry_after_s if refusal.retry_after_s is None else refusal.retry_after_s
    return msgspec.structs.replace(error, message=refusal.message, retry_after_s=retry_s)


def too_late(server: str, expected_s: float | None, allowed_s: float) -> CallError:
    """The wait would be longer than the caller or the alias allows."""
    needs = "no slot now" if expected_s is None else f"a slot in about {duration_words(expected_s)}"
    message = f"model server '{server}' has {needs}, and the call may wait {duration_words(allowed_s)}"
    return CallError(
        kind="overloaded",
        status=503,
        code="waited_too_long",
        message=message,
        retry_after_s=_USUAL_RETRY_S if expected_s is None else expected_s,
    )


_SOON_S = 60.0
"""A budget that has room again within so long is worth another try of the client's."""


def no_money(denial: Denial, now_ms: int) -> CallError:
    """A budget has no room for the call: 402, which no SDK tries again (both vendors' do with every 429), but
    429 with a `Retry-After` where there will be room in a moment. The message says which budget, and when."""
    error = refusal(denial, now_ms)
    if error.status == 429 and (error.retry_after_s or 0.0) > _SOON_S:
        return msgspec.structs.replace(error, kind="billing", status=402, retry_after_s=None)
    return error


def nobody(decision: Decision) -> CallError:
    """The router knows no place that could take the call: now (then it may be sent again), or ever."""
    reason, never = decision.reason[:1000], {one.never for one in decision.considered}
    if not never or "" in never:
        return CallError(kind="overloaded", status=503, code="no_candidate", message=reason)
    if never == {"too long"}:  # agents that shorten a conversation look for these words
        reason, code = f"prompt is too long: {reason}", "context_length_exceeded"
        return CallError(kind="invalid_request", status=400, code=code, message=reason)
    return CallError(kind="invalid_request", status=400, code="no_candidate", message=reason)


def no_talk(endpoint: str) -> CallError:
    """`auto` for what is no conversation."""
    message = f"auto chooses among models for conversations; name a model for {endpoint}"
    return CallError(
        kind="invalid_request", status=400, code="model_not_found", param="model", message=message
    )


def gone(name: str) -> CallError:
    message = f"'{name}' is no longer configured"
    return CallError(kind="not_found", status=404, code="model_not_found", message=message)


def bad_header(name: bytes, wanted: str) -> CallError:
    return bad_body(f"the header {name.decode()} must be {wanted}", param=name.decode())


def no_stream(place: str) -> CallError:
    message = f"{place}: it answered whole where a stream was asked for, and the stream has begun"
    return CallError(kind="upstream", status=502, source="upstream", message=message)


def recorded_words(error: CallError) -> str:
    """What a receipt says of an error. The log is never redacted, and providers repeat pieces of a faulty
    request in their words about it: of those only the kind is kept."""
    if error.source == "upstream" and error.status in (400, 409, 413, 422):
        named = [error.kind, error.code or "", error.param or ""]
        return " ".join(part for part in named if part)
    return error.message[:300]


def status_for(dialect: Dialect, status: int) -> int:
    """529 is Anthropic's own word; elsewhere it is a 503."""
    return 503 if status == 529 and dialect != "messages" else status


def bad_body(message: str, param: str | None = None) -> CallError:
    return CallError(kind="invalid_request", status=400, message=message, param=param)


def strict(losses: tuple[str, ...]) -> CallError:
    return bad_body(
        "x-freehold-strict: this model speaks another dialect, which cannot carry: " + ", ".join(losses)
    )


def unsupported(operation: str, place: str) -> CallError:
    return CallError(
        kind="unsupported",
        status=501,
        code="unsupported_operation",
        message=f"{place} has no {operation}: its provider speaks Anthropic messages only",
    )


def no_such_model(found: NoSuchModel) -> CallError:
    if found.ambiguous:
        text = f"several places have '{found.asked}': ask for one of {', '.join(found.ambiguous)}"
    else:
        hint = f" Did you mean {' or '.join(repr(name) for name in found.nearest)}?" if found.nearest else ""
        text = f"no model '{found.asked}' here; GET /v1/models lists what there is.{hint}"
    return CallError(kind="not_found", status=404, code="model_not_found", param="model", message=text)

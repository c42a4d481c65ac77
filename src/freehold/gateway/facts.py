"""What a request's head says, judged once for all requests that repeat it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from freehold.cache.keys import feature_headers
from freehold.cache.modes import Mode, mode_of
from freehold.core.errors import CallError
from freehold.gateway import headers as passing
from freehold.gateway import refusals
from freehold.gateway.access import Access, Admitted, admit
from freehold.gateway.endpoints import Endpoint
from freehold.gateway.record import Caller, caller_of
from freehold.gateway.request import Request

USUAL_PRIORITY = 50
_LEAST_PRIORITY = 100
_PRIORITY = b"x-freehold-priority"
_DEADLINE = b"x-freehold-deadline-s"
_WHOLE = re.compile(rb"[0-9]{1,3}")
_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`lines` are the client's headers that go upstream, ready."""

    access: Access
    """By whose rules it was judged."""
    endpoint: Endpoint
    admitted: Admitted | CallError
    caller: Caller
    lines: bytes
    asker: str = ""
    """Between whom the slots of a server are shared fairly: session, else agent, else key."""
    priority: int = USUAL_PRIORITY
    """In the queue of a server: 0 to 100, smaller goes first."""
    deadline_s: float | None = None
    """Seconds that the caller waits for an answer to begin."""
    cache_mode: Mode = ""
    """What the caller says of kept answers."""
    features: bytes = b""
    """The headers that change answers, in one spelling."""
    trace: str = ""
    """`TRACEID-SPANID` of its `traceparent`."""
    fault: CallError | None = None
    """What is wrong with a header of ours."""

    @classmethod
    def of(cls, access: Access, request: Request, endpoint: Endpoint) -> Facts:
        admitted = admit(access, request.lookup)
        caller = caller_of(request.lookup)
        key_name = admitted.key_name if isinstance(admitted, Admitted) else ""
        priority, deadline_s = priority_of(request.lookup), deadline_of(request.lookup)
        mode = mode_of(request.lookup)
        fault = next((one for one in (priority, deadline_s, mode) if isinstance(one, CallError)), None)
        return cls(
            access=access,
            endpoint=endpoint,
            admitted=admitted,
            caller=caller,
            lines=passing.forwarded(request.headers),
            asker=caller.session or caller.agent or key_name,
            priority=USUAL_PRIORITY if isinstance(priority, CallError) else priority,
            deadline_s=None if isinstance(deadline_s, CallError) else deadline_s,
            cache_mode="" if isinstance(mode, CallError) else mode,
            features=feature_headers(request.lookup),
            trace=trace_of(request.lookup),
            fault=fault,
        )


def priority_of(headers: Mapping[bytes, bytes]) -> int | CallError:
    """`x-freehold-priority`, or what is wrong with it."""
    said = headers.get(_PRIORITY)
    if said is None:
        return USUAL_PRIORITY
    if not _WHOLE.fullmatch(said.strip()) or int(said) > _LEAST_PRIORITY:
        return refusals.bad_header(_PRIORITY, "a whole number from 0 (first) to 100 (last)")
    return int(said)


def deadline_of(headers: Mapping[bytes, bytes]) -> float | CallError | None:
    """`x-freehold-deadline-s`, or what is wrong with it."""
    said = headers.get(_DEADLINE)
    if said is None:
        return None
    if not _SECONDS.fullmatch(said.strip()):
        return refusals.bad_header(_DEADLINE, "a number of seconds, like 20 or 2.5")
    return float(said)


def trace_of(headers: Mapping[bytes, bytes]) -> str:
    """`TRACEID-SPANID` of a valid `traceparent` (W3C Trace Context, level 2); else empty."""
    found = _TRACE.fullmatch(headers.get(b"traceparent", b"").strip())
    if found is None or found[1] == b"ff" or not found[2].strip(b"0") or not found[3].strip(b"0"):
        return ""
    return f"{found[2].decode()}-{found[3].decode()}"


_TRACE = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")

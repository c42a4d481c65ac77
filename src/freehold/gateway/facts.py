"""What a request's head says, judged once for all requests that repeat it."""

from __future__ import annotations

import msgspec

from freehold.core.errors import CallError
from freehold.gateway import headers as passing
from freehold.gateway.access import Access, Admitted, admit
from freehold.gateway.connection import Request
from freehold.gateway.endpoints import Endpoint
from freehold.gateway.record import Caller, caller_of


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`lines` are the client's headers that go upstream, ready."""

    endpoint: Endpoint
    admitted: Admitted | CallError
    caller: Caller
    lines: bytes

    @classmethod
    def of(cls, access: Access, request: Request, endpoint: Endpoint) -> Facts:
        return cls(
            endpoint=endpoint,
            admitted=admit(access, request.lookup),
            caller=caller_of(request.lookup),
            lines=passing.forwarded(request.headers),
        )

"""What comes in by OpenTelemetry and from agents' own tools: the port, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from freehold.receipts.tools import ToolView

Signal = Literal["traces", "metrics", "logs"]


class OtlpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """In OTLP's own shape: the encoding is that of the request, errors are a google.rpc.Status."""

    status: int
    content_type: str
    body: bytes
    retry_after_s: int | None = None


class TelemetryMeter(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of what came in since Freehold started."""

    items: Mapping[str, int] = {}
    """Calls and tool uses that were told of: `new` became a receipt; the others have one, and by what that
    was seen."""
    forwarded: int = 0
    """Requests that the collector took."""
    dropped: int = 0
    """Requests that it never got."""
    exported: int = 0
    """Calls of ours whose spans a collector took."""
    export_dropped: int = 0


class TelemetryControl(Protocol):
    async def receive(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str
    ) -> OtlpAnswer:
        """Take in one OTLP/HTTP request. What is wrong with it, the answer says."""
        ...

    async def tool(self, body: bytes) -> ToolView:
        """Record one use of a tool, once. Raises FreeholdError with what is wrong with `body`."""
        ...

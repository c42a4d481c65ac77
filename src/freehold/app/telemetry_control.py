"""OpenTelemetry that comes in over the control API, handed to who reads it. Implements `web.telemetry`."""

from __future__ import annotations

from freehold.app.rooms import OptionalRooms
from freehold.web.telemetry import OtlpAnswer, Signal


class HouseReceiver:
    """See the module."""

    def __init__(self, rooms: OptionalRooms) -> None:
        self._rooms = rooms

    async def receive(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str
    ) -> OtlpAnswer:
        return OtlpAnswer(status=503, content_type="application/json", body=b"{}", retry_after_s=5)

"""OpenTelemetry that comes in over the control API, handed to who reads it. Implements `web.telemetry`."""

from __future__ import annotations

from freehold.app.rooms import OptionalRooms
from freehold.receipts.tools import ToolView
from freehold.web.telemetry import OtlpAnswer, Signal, TelemetryMeter


class HouseReceiver:
    """See the module."""

    def __init__(self, rooms: OptionalRooms) -> None:
        self._rooms = rooms

    async def receive(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str
    ) -> OtlpAnswer:
        answer = await self._rooms.listen().receive(signal, body, content_type, content_encoding)
        return OtlpAnswer(
            status=answer.status,
            content_type=answer.content_type,
            body=answer.body,
            retry_after_s=answer.retry_after_s,
        )

    async def tool(self, body: bytes) -> ToolView:
        return await self._rooms.tool_book().post(body)

    def meter(self) -> TelemetryMeter:
        """For `/metrics`."""
        telemetry, export = self._rooms.telemetry, self._rooms.export
        return TelemetryMeter(
            items={} if telemetry is None else dict(telemetry.counts),
            forwarded=0 if telemetry is None else telemetry.forwarder.sent,
            dropped=0 if telemetry is None else telemetry.forwarder.dropped,
            exported=0 if export is None else export.sent,
            export_dropped=0 if export is None else export.dropped,
        )

"""Where OpenTelemetry comes in (`/v1/traces`, `/v1/metrics`, `/v1/logs`, in OTLP/HTTP's own shapes), and uses
of tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from freehold.core.errors import FreeholdError
from freehold.receipts.journal import LedgerError
from freehold.receipts.tools import ToolIn, ToolView
from freehold.web.answers import Json, Route, error_answer
from freehold.web.telemetry import Signal, TelemetryControl

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"


def tool_routes(control: TelemetryControl) -> tuple[Route, ...]:
    async def tool(request: Request) -> Json:
        """Record one use of a tool. The same use, told again, has one receipt."""
        try:
            return Json(await control.tool(await request.body()))
        except LedgerError as error:  # whoever told it may tell it again
            return error_answer(503, "ledger_unavailable", str(error))
        except FreeholdError as error:
            raise HTTPException(400, str(error)) from error

    return (Route("/receipts/tool", tool, ToolView, "Receipt of a tool's use", "POST", ToolIn),)


def telemetry_routes(control: TelemetryControl) -> APIRouter:
    """The three routes. Their bodies and answers are OTLP's (opentelemetry.io/docs/specs/otlp)."""
    router = APIRouter()
    either = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (_PROTOBUF, _JSON)}
    for signal in get_args(Signal):
        router.add_api_route(
            f"/v1/{signal}",
            _receiving(control, signal),
            methods=["POST"],
            summary=f"OpenTelemetry: {signal}",
            response_class=Response,
            responses={
                200: {"description": "Taken in, or in part.", "content": either},
                "default": {"description": "A google.rpc.Status, encoded as the request.", "content": either},
            },
            openapi_extra={"requestBody": {"required": True, "content": either}},
            name=f"receive_{signal}",
        )
    return router


def _receiving(control: TelemetryControl, signal: Signal) -> Callable[[Request], Awaitable[Response]]:
    async def receive(request: Request) -> Response:
        """An export in OTLP/HTTP: protobuf or JSON, plain or gzip."""
        headers = request.headers
        answer = await control.receive(
            signal,
            await request.body(),
            headers.get("content-type", ""),
            headers.get("content-encoding", ""),
        )
        retry = {} if answer.retry_after_s is None else {"retry-after": str(answer.retry_after_s)}
        return Response(answer.body, answer.status, headers={"content-type": answer.content_type} | retry)

    return receive

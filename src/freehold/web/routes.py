"""The routes of `/api/v1`: each asks the `Control` and answers with what it said."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import PlainTextResponse

from freehold.receipts.entries import Outcome
from freehold.receipts.query import Filter, Grouping
from freehold.web.answers import ErrorAnswer, Json, Route, described, schemas, wanted
from freehold.web.control import (
    CallView,
    Control,
    CostReport,
    HealthView,
    ModelView,
    ReceiptPage,
    ReceiptView,
    StatusView,
)
from freehold.web.money_routes import money_routes
from freehold.web.server_routes import server_routes
from freehold.web.telemetry_routes import tool_routes

ReceiptId = Annotated[str, Path(description="The receipt's id, or how it begins.", max_length=200)]


_FAR = 2**53
"""Larger numbers are no time, and SQLite has no place for them."""


class ReceiptQuery(pydantic.BaseModel):
    """Which receipts; what is absent accepts all."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""
    model: str = pydantic.Field("", description="The model that answered, or the one that was asked for.")
    deployment: str = ""
    provider: str = ""
    outcome: Outcome | None = None
    since_ms: int | None = pydantic.Field(
        None, ge=-_FAR, le=_FAR, description="Begun at or after: UTC milliseconds."
    )
    until_ms: int | None = pydantic.Field(
        None, ge=-_FAR, le=_FAR, description="Begun before: UTC milliseconds."
    )
    before: int | None = pydantic.Field(
        None, ge=0, le=_FAR, description="The page after: `next_before` of the page before."
    )
    limit: int = pydantic.Field(50, ge=1, le=1000)


class _Api:
    """Coroutines answer on the event loop from memory; plain methods read files, in worker threads."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def status(self) -> Json:
        """The running Freehold at a glance."""
        return Json(self._control.status())

    async def health(self) -> Json:
        """Whether calls can be served; status 503 when they cannot."""
        health = self._control.health()
        return Json(health, status_code=200 if health.ok else 503)

    async def models(self) -> Json:
        """The names that a client may ask for, and where each runs."""
        return Json(self._control.models())

    async def calls(self) -> Json:
        """Calls under way, oldest first."""
        return Json(self._control.calls())

    def receipts(self, wanted: Annotated[ReceiptQuery, Query()]) -> Json:
        """The newest receipts that match, newest first."""
        rows = self._control.receipts(Filter(**wanted.model_dump(exclude_none=True)))
        full = len(rows) == wanted.limit
        return Json(ReceiptPage(receipts=rows, next_before=rows[-1].seq if full else None))

    def receipt(self, receipt_id: ReceiptId) -> Json:
        """One receipt, whole, and its place in the log."""
        found = self._control.receipt(receipt_id)
        if found is None:
            raise HTTPException(404, f"there is no receipt {receipt_id!r}")
        return Json(found)

    def proof(self, receipt_id: ReceiptId) -> PlainTextResponse:
        """The proof that the receipt is in the signed log: a C2SP tlog-proof, as text."""
        proof = self._control.proof(receipt_id)
        if proof is None:
            raise HTTPException(404, f"there is no receipt {receipt_id!r}")
        return PlainTextResponse(proof)

    def costs(
        self,
        by: Annotated[Grouping, Query(description="What to sum by.")] = "project",
        since_ms: Annotated[
            int | None, Query(ge=-_FAR, le=_FAR, description="UTC milliseconds, from the hour it lies in.")
        ] = None,
        until_ms: Annotated[
            int | None, Query(ge=-_FAR, le=_FAR, description="UTC milliseconds, through the hour it lies in.")
        ] = None,
    ) -> Json:
        """Calls, tokens and costs per group, from the receipts."""
        rows = self._control.costs(by, since_ms, until_ms)
        return Json(CostReport(by=by, since_ms=since_ms, until_ms=until_ms, rows=rows))


def control_routes(control: Control) -> tuple[APIRouter, dict[str, Any]]:
    """The routes, and the schemas of what they answer, for the OpenAPI document's components."""
    api = _Api(control)
    table = (
        Route("/status", api.status, StatusView, "Status"),
        Route("/health", api.health, HealthView, "Health, with reasons"),
        Route("/models", api.models, list[ModelView], "Models"),
        Route("/calls", api.calls, list[CallView], "Calls under way"),
        *server_routes(control),
        Route("/receipts", api.receipts, ReceiptPage, "Receipts"),
        Route("/receipts/{receipt_id}", api.receipt, ReceiptView, "One receipt"),
        Route("/costs", api.costs, CostReport, "Costs"),
        *money_routes(control.money),
        *tool_routes(control.telemetry),
    )
    router = APIRouter(prefix="/api/v1", default_response_class=Json)
    found, components = schemas(
        [*(route.shape for route in table), *(route.takes for route in table if route.takes), ErrorAnswer]
    )
    bodies = iter(found[len(table) :])
    default = described(found[-1], "An error, always in this shape.")
    for route, schema in zip(table, found[: len(table)], strict=True):
        router.add_api_route(
            route.path,
            route.answer,
            methods=[route.method],
            summary=route.words,
            responses={200: described(schema, route.words), "default": default},
            openapi_extra=wanted(next(bodies)) if route.takes else None,
        )
    router.add_api_route(
        "/receipts/{receipt_id}/proof",
        api.proof,
        methods=["GET"],
        summary="Proof of a receipt",
        response_class=PlainTextResponse,
        responses={"default": default},
    )
    return router, components

"""The ASGI application: routes, pages, and one shape for all errors."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from freehold import __version__
from freehold.core.errors import ConfigError, FreeholdError
from freehold.web.answers import Json, error_answer
from freehold.web.control import Control
from freehold.web.pages import HEADERS, docs_page, landing_page
from freehold.web.routes import control_routes
from freehold.web.telemetry_routes import telemetry_routes

_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(control: Control) -> FastAPI:
    """The control API over `control`. Holds no state of its own and needs no lifespan events."""
    router, components = control_routes(control)
    app = FastAPI(
        title="Freehold control API", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.include_router(router)
    app.include_router(telemetry_routes(control.telemetry))
    _add_pages(app, control, _document(app, components))
    _add_errors(app)
    return app


def _document(app: FastAPI, components: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, with our answers' shapes and without FastAPI's own shape of errors."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    document["components"] = {"schemas": components}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    return document


def _add_pages(app: FastAPI, control: Control, document: dict[str, Any]) -> None:
    async def openapi() -> Json:
        return Json(document)

    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(document), headers=HEADERS)

    async def landing() -> HTMLResponse:
        names = [model.name for model in control.models()]
        return HTMLResponse(landing_page(control.status().url, names), headers=HEADERS)

    async def metrics() -> Response:
        from freehold.web.metrics import CONTENT_TYPE, exposition  # noqa: PLC0415 - only those who scrape pay

        await control.refresh()
        return Response(exposition(control.metrics()), headers={"content-type": CONTENT_TYPE})

    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.add_api_route("/api/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/api/docs", docs, include_in_schema=False)
    app.add_api_route("/", landing, include_in_schema=False)


def _nothing_at(path: str, url: str) -> str:
    return (
        f"nothing is at {path[:200]}: clients of OpenAI's API take {url}/v1 for their base URL, those of "
        f"Anthropic's {url}; the control API is described at {url}/api/docs"
    )


def _add_errors(app: FastAPI) -> None:
    async def http(request: Request, error: Exception) -> Json:
        known = cast(HTTPException, error)
        code = _CODES.get(known.status_code, "invalid_request")
        words = str(known.detail)
        if words == "Not Found":  # no route's own words
            words = _nothing_at(request.url.path, str(request.base_url).rstrip("/"))
        return error_answer(known.status_code, code, words)

    async def misconfigured(_: Request, error: Exception) -> Json:
        return error_answer(409, "bad_configuration", str(error))

    async def invalid(_: Request, error: Exception) -> Json:
        problems = cast(RequestValidationError, error).errors()
        words = "; ".join(
            f"{'.'.join(map(str, problem['loc'][1:2]))}: {problem['msg']}" for problem in problems
        )
        return error_answer(400, "invalid_request", words)

    async def refused(_: Request, error: Exception) -> Json:
        return error_answer(409, "not_possible_now", str(error))

    async def broken(_: Request, error: Exception) -> Json:
        return error_answer(500, "internal", f"Freehold failed here ({type(error).__name__}); see its log")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ConfigError, misconfigured)
    app.add_exception_handler(FreeholdError, refused)
    app.add_exception_handler(Exception, broken)

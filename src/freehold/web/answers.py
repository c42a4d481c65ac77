"""Answers of the control API: msgspec writes them, and their shapes stand in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi.responses import JSONResponse

_REFERENCE = "#/components/schemas/{name}"


class Json(JSONResponse):
    """JSON of anything that msgspec encodes: structs, dataclasses, plain values."""

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is for programs: `not_found`, `invalid_request`, `not_possible_now`, `internal`, ..."""

    code: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every error of the control API has this shape."""

    error: ErrorDetail


def error_answer(status: int, code: str, message: str) -> Json:
    """An error as its response."""
    return Json(ErrorAnswer(error=ErrorDetail(code=code, message=message)), status_code=status)


def schemas(shapes: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """JSON schemas of `shapes`, in order, and the components that they refer to by name."""
    found, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    return list(found), components


def described(schema: dict[str, Any], words: str) -> dict[str, Any]:
    """A response of an OpenAPI operation."""
    return {"description": words, "content": {"application/json": {"schema": schema}}}

"""Answers of the control API: msgspec writes them, and their shapes stand in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from fastapi import HTTPException
from fastapi.responses import JSONResponse

T = TypeVar("T")
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


class Route(NamedTuple):
    """One row of a table of routes under `/api/v1`."""

    path: str
    answer: Callable[..., Any]
    shape: Any
    """Of what is answered."""
    words: str
    method: str = "GET"
    takes: Any = None
    """The shape of its JSON body; None: it has none."""


def taken(body: bytes, shape: type[T]) -> T:
    """A request's body as what it has to be. Raises HTTPException 400 with what is wrong."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"the body is not as it should be: {error}") from error


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


def wanted(schema: dict[str, Any]) -> dict[str, Any]:
    """What an OpenAPI operation says of its body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

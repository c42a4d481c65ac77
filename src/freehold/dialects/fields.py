"""Checked access to decoded JSON: what is wrong with a field is said in the caller's terms.

Readers of all dialects use it; what a field *means* belongs to them.
"""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.core.errors import CallError
from freehold.dialects.context import TranslationError
from freehold.dialects.conversation import JsonObject

_decoder = msgspec.json.Decoder()


class Losses:
    """Short codes of what a translation dropped, changed or emulated, in order, each once."""

    def __init__(self) -> None:
        self._codes: dict[str, None] = {}

    def add(self, code: str) -> None:
        self._codes[code] = None

    def codes(self) -> tuple[str, ...]:
        return tuple(self._codes)


def refused(message: str, param: str | None = None) -> TranslationError:
    """A 400 for the caller. `message` says what is wrong and what to do, `param` where."""
    return TranslationError(CallError(kind="invalid_request", status=400, message=message, param=param))


def decode_object(body: bytes) -> JsonObject:
    """The JSON object in `body`; a 400 when it is not one."""
    try:
        found: object = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refused(f"The request body is not valid JSON ({error}). Send one JSON object.") from None
    if not isinstance(found, dict):
        raise refused(f"The request body is {_kind(found)}. Send one JSON object.")
    return cast(JsonObject, found)


def as_object(value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _wrong(value, "an object", where)
    return cast(JsonObject, value)


def as_list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _wrong(value, "a list", where)
    return cast("list[object]", value)


def as_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "a string", where)
    return value


def maybe_object(value: object) -> JsonObject | None:
    """`value` when it is an object; anything else counts as absent."""
    return cast(JsonObject, value) if isinstance(value, dict) else None


def maybe_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def maybe_text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Fields:
    """A request's top-level fields; those that nobody took are unknown, and so are losses."""

    def __init__(self, found: JsonObject) -> None:
        self._left = dict(found)

    def take(self, name: str) -> object:
        """The field's value; None when absent or null."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        value = self.take(name)
        return "" if value is None else as_text(value, name)

    def number(self, name: str) -> float | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(value, "a number", name)
        return value

    def whole(self, name: str) -> int | None:
        value = self.number(name)
        if value is not None and value != int(value):
            raise _wrong(value, "a whole number", name)
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong(value, "true or false", name)
        return value

    def object(self, name: str) -> JsonObject | None:
        value = self.take(name)
        return None if value is None else as_object(value, name)

    def list(self, name: str) -> list[object]:
        value = self.take(name)
        return [] if value is None else as_list(value, name)

    def unknown(self) -> list[str]:
        """Names of fields that carry a value and were not taken."""
        return [name for name, value in self._left.items() if value is not None]


def _wrong(value: object, wanted: str, where: str) -> TranslationError:
    return refused(f"{where} must be {wanted}, but is {_kind(value)}.", where)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"

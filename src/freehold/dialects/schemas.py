"""JSON schemas in the subset that an upstream enforces.

Anthropic's constrained output takes no numeric or length limits and wants every object closed;
OpenAI's strict mode wants every object closed and every property required. A schema outside the
subset is a 400 there, so it is narrowed, or strictness is given up, and the loss is named.
"""

from __future__ import annotations

from typing import cast

from freehold.dialects.conversation import JsonObject
from freehold.dialects.fields import maybe_object

_LIMITS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "contains",
    "propertyNames", "unevaluatedProperties", "not", "if", "then", "else",
)  # fmt: skip
_VALUES = ("enum", "const", "default", "examples")
_NAMED = ("properties", "$defs", "definitions")
_MAX_DEPTH = 64


def closed(schema: JsonObject, depth: int = 0) -> JsonObject:
    """`schema` with unsupported limits taken out and every object closed; equal to `schema` when it
    already lies in Anthropic's subset."""
    if depth > _MAX_DEPTH:
        return schema
    narrow = {
        key: value if key in _VALUES else _closed_value(value, depth, names=key in _NAMED)
        for key, value in schema.items()
        if key not in _LIMITS and not (key == "minItems" and value not in (0, 1))
    }
    if "oneOf" in narrow:
        narrow["anyOf"] = narrow.pop("oneOf")
    if narrow.get("type") == "object" or "properties" in narrow:
        narrow["additionalProperties"] = False
    return narrow


def _closed_value(value: object, depth: int, *, names: bool = False) -> object:
    """`names`: the keys of `value` are the client's names, not words of JSON schema."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_closed_value(item, depth + 1) for item in items]
    found = maybe_object(value)
    if found is None:
        return value
    if names:
        return {name: _closed_value(inner, depth + 1) for name, inner in found.items()}
    return closed(found, depth + 1)


def is_strict(schema: JsonObject | None) -> bool:
    """Whether OpenAI's strict mode takes `schema` as it stands: closed objects, all properties required."""
    return schema is not None and _strict(schema, 0)


def _strict(value: object, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, list):
        return all(_strict(item, depth + 1) for item in cast("list[object]", value))
    found = maybe_object(value)
    if found is None:
        return True
    if found.get("type") == "object" or "properties" in found:
        properties = maybe_object(found.get("properties")) or {}
        required = found.get("required")
        named = cast("list[object]", required) if isinstance(required, list) else []
        if found.get("additionalProperties") is not False or set(properties) != set(map(str, named)):
            return False
    return all(_strict(inner, depth + 1) for inner in found.values())

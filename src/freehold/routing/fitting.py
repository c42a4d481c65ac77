"""Does a JSON value fit a JSON Schema, as far as that can be said for sure? Pure.

Only rules that leave no doubt are looked at (types, what is required, what is allowed, sizes, references
inside the schema). What is not known here never counts against a value: a wrong alarm costs a dearer call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

_DEEPEST = 48
_MOST_STEPS = 10_000
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def misfit(schema: object, value: object, *, null_fits: bool = False) -> str:
    """What does not fit, and where, in words; empty when nothing is known to be wrong. `null_fits`: models
    write null for what they leave out of a call, and tools take it so."""
    look = _Look(schema, null_fits)
    try:
        return look.at(schema, value, "", 0)
    except _Enough:
        return ""


class _Enough(Exception):
    """Too deep or too much: it is taken as it is."""


class _Look:
    """One looking through a value. `root`: what references are relative to."""

    def __init__(self, root: object, null_fits: bool) -> None:
        self._root = root
        self._null_fits = null_fits
        self._steps = 0

    def at(self, schema: object, value: object, where: str, depth: int) -> str:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise _Enough
        if not isinstance(schema, dict) or (value is None and self._null_fits):
            return ""
        rules = cast("dict[str, object]", schema)
        return next(filter(None, self._found(rules, value, where, depth + 1)), "")

    def _found(self, rules: Mapping[str, object], value: object, where: str, depth: int) -> Iterator[str]:
        here = where or "the whole"
        if isinstance(reference := rules.get("$ref"), str):
            yield self.at(_pointed(self._root, reference), value, where, depth)
        for part in _list(rules.get("allOf")):
            yield self.at(part, value, where, depth)
        for name in ("anyOf", "oneOf"):
            arms = _list(rules.get(name))
            if arms and all(self.at(arm, value, where, depth) for arm in arms):
                yield f"{here} fits none of {len(arms)} forms"
        if "const" in rules and not _same(rules["const"], value):
            yield f"{here} is not what it must be"
        allowed = _list(rules.get("enum"))
        if allowed and not any(_same(one, value) for one in allowed):
            yield f"{here} is none of the allowed values"
        kinds = [kind for kind in _list(rules.get("type")) or [rules.get("type")] if isinstance(kind, str)]
        if kinds and not any(_is(value, kind) for kind in kinds):
            yield f"{here} is no {' or '.join(kinds)}"
        elif isinstance(value, dict):
            yield from self._object(rules, cast("dict[str, object]", value), where, depth)
        elif isinstance(value, list):
            yield from self._array(rules, cast("list[object]", value), where, depth)
        elif isinstance(value, str):
            yield _bounds(rules, len(value), ("minLength", "maxLength"), here, "characters")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield _bounds(rules, value, ("minimum", "maximum"), here, "")

    def _object(
        self, rules: Mapping[str, object], value: Mapping[str, object], where: str, depth: int
    ) -> Iterator[str]:
        for key in _list(rules.get("required")):
            if isinstance(key, str) and key not in value:
                yield f"{_below(where, key)} is missing"
        known = rules.get("properties")
        fields = cast("dict[str, object]", known) if isinstance(known, dict) else {}
        for key, part in value.items():
            if key in fields:
                yield self.at(fields[key], part, _below(where, key), depth)
            elif rules.get("additionalProperties") is False and "patternProperties" not in rules:
                yield f"{_below(where, key)} was not asked for"

    def _array(
        self, rules: Mapping[str, object], value: Sequence[object], where: str, depth: int
    ) -> Iterator[str]:
        yield _bounds(rules, len(value), ("minItems", "maxItems"), where or "the whole", "items")
        if "prefixItems" not in rules:
            for place, part in enumerate(value):
                yield self.at(rules.get("items"), part, f"{where}[{place}]", depth)


def _pointed(root: object, reference: str) -> object:
    """What `#/$defs/name` points to; None when that is not there, or is elsewhere."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, object]", found).get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _is(value: object, kind: str) -> bool:
    wanted = _TYPES.get(kind)
    if wanted is None:
        return True
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, wanted)


def _same(one: object, other: object) -> bool:
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return one == other


def _bounds(rules: Mapping[str, object], size: float, keys: tuple[str, str], where: str, unit: str) -> str:
    least, most = rules.get(keys[0]), rules.get(keys[1])
    if _number(least) and size < cast("float", least):
        return f"{where} has under {least} {unit}" if unit else f"{where} is under {least}"
    if _number(most) and size > cast("float", most):
        return f"{where} has over {most} {unit}" if unit else f"{where} is over {most}"
    return ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _below(where: str, key: str) -> str:
    name = key[:40] if key.isprintable() else repr(key)[:40]
    return f"{where}.{name}" if where else name

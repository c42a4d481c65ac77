"""Plain values of a configuration file to typed ones, with every problem named by key and line. Pure.

msgspec alone would stop at the first problem and not say which key of a mapping it was in, so structs
and mappings are taken apart here, and msgspec converts the leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields

from freehold.core.config import Config
from freehold.core.config_checks import problems_in
from freehold.core.config_source import Document, Path, dotted
from freehold.core.errors import ConfigError
from freehold.core.quantities import parse_bytes, parse_duration_s


def build_config(document: Document, file: str) -> tuple[Config | None, list[ConfigError]]:
    """The settings that `document` says, or every problem in it, in the order of lines.

    `file` is only named in the problems.
    """
    builder = _Builder(document, file)
    config = cast(Config | None, builder.build(document.value, Config, ()))
    if config is not None:
        for problem in problems_in(config):
            builder.problem(problem.message, problem.path)
    if builder.problems:
        return None, sorted(builder.problems, key=lambda error: error.line or 0)
    return config, []


class _Builder:
    """Builds one level at a time, and goes on after a problem to find the next."""

    def __init__(self, document: Document, file: str) -> None:
        self.problems: list[ConfigError] = []
        self._file = file
        self._lines = document.lines
        self._expanded = document.expanded

    def build(self, value: object, hint: Any, path: Path) -> object:
        """The typed value, or None when problems were noted on the way (None is also a valid leaf)."""
        bare = _bare(hint)
        struct = next((arm for arm in _arms(bare) if _is_struct(arm)), None)
        if struct is not None and (bare is struct or isinstance(value, dict)):
            return self._struct(cast(object, value), struct, path)
        if get_origin(bare) is dict:
            return self._mapping(value, bare, path)
        if isinstance(value, list):
            return self._list(cast(list[object], value), hint, path)
        return self._leaf(value, hint, path)

    def problem(self, message: str, path: Path, nearest: str | None = None) -> None:
        """Notes a problem of the value at `path`."""
        line = next(
            (self._lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self._lines), None
        )
        key = dotted(path) or None
        self.problems.append(ConfigError(message, file=self._file, line=line, key=key, nearest=nearest))

    def _struct(self, value: object, struct: type[msgspec.Struct], path: Path) -> object:
        if value is None:  # "auth:" with nothing under it
            value = {}
        if not isinstance(value, dict):
            self.problem(f"expected keys and values, found {_kind(value)}", path)
            return None
        given = cast(dict[str, object], value)
        known = {field.encode_name: field for field in fields(struct)}
        for key in [key for key in given if key not in known]:
            self._unknown(key, list(known), path)
        for name in [name for name, field in known.items() if field.required and name not in given]:
            self.problem(f"{name} is missing", path)
        hints = get_type_hints(struct, include_extras=True)
        built = {
            known[key].name: self.build(part, hints[known[key].name], (*path, key))
            for key, part in given.items()
            if key in known
        }
        return None if self.problems else struct(**built)

    def _mapping(self, value: object, mapping: Any, path: Path) -> object:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.problem(f"expected names and their values, found {_kind(value)}", path)
            return None
        given = cast(dict[str, object], value)
        names, hint = get_args(mapping)
        if get_origin(names) is Literal:
            for name in [name for name in given if name not in get_args(names)]:
                self._unknown(name, list(get_args(names)), path)
        return {name: self.build(part, hint, (*path, name)) for name, part in given.items()}

    def _list(self, value: list[object], hint: Any, path: Path) -> object:
        item = _item_hint(_bare(hint))
        if item is None:
            return self._leaf(value, hint, path)
        return tuple(self.build(part, item, (*path, position)) for position, part in enumerate(value))

    def _leaf(self, value: object, hint: Any, path: Path) -> object:
        try:
            plain = _read_quantity(value, hint)
            return msgspec.convert(plain, hint, strict=path not in self._expanded)
        except (msgspec.ValidationError, ConfigError):
            self.problem(f"expected {expected_words(hint)}, found {_found(value, hint)}", path)
            return None

    def _unknown(self, key: str, known: list[str], path: Path) -> None:
        nearest = next(iter(get_close_matches(key, known, n=1)), None)
        valid = "" if nearest else f"; valid here: {', '.join(known)}"
        self.problem(f"unknown key{valid}.", (*path, _shown(key)), nearest)


def expected_words(hint: Any) -> str:
    """What a value of type `hint` is, for a person: `a whole number of at least 1`, `a list of text`."""
    if kind := _quantity(hint):
        return _QUANTITIES[kind][1]
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        limits = [_limit_words(note) for note in notes if isinstance(note, msgspec.Meta)]
        return " ".join([expected_words(bare), *filter(None, limits)])
    if get_origin(hint) is Literal:
        return " or ".join(f"'{choice}'" for choice in get_args(hint))
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(expected_words(part) for part in get_args(hint) if part is not type(None))
    if _is_struct(hint):
        return _KINDS[dict]
    if (item := _item_hint(hint)) is not None:
        return f"a list of {expected_words(item)}"
    return _KINDS[hint]


_QUANTITIES: Mapping[str, tuple[Callable[[str], float], str]] = {
    "duration": (parse_duration_s, "a duration like 15m, or a number of seconds"),
    "size": (parse_bytes, "a size like 4GiB, or a number of bytes"),
}
"""Texts that stand for numbers, by the mark that `core.config_servers` sets: how they are read."""


def _quantity(hint: Any) -> str | None:
    """The mark of a type whose numbers may also be written as text; None for all others."""
    if get_origin(hint) in {Union, UnionType}:
        return next((mark for arm in get_args(hint) if (mark := _quantity(arm))), None)
    if get_origin(hint) is not Annotated:
        return None
    bare, *notes = get_args(hint)
    marks = (note.extra_json_schema for note in notes if isinstance(note, msgspec.Meta))
    return next((mark["x-reads"] for mark in marks if mark and "x-reads" in mark), None) or _quantity(bare)


def _read_quantity(value: object, hint: Any) -> object:
    """`value`, or the number that it stands for. Raises ConfigError, which may show the value."""
    kind = _quantity(hint)
    return _QUANTITIES[kind][0](value) if kind and isinstance(value, str) else value


_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "keys and values",
    type(None): "nothing",
}


def _limit_words(meta: msgspec.Meta) -> str:
    least = f"of at least {meta.ge}" if meta.ge is not None else ""
    above = f"above {meta.gt}" if meta.gt is not None else ""
    most = f"at most {meta.le}" if meta.le is not None else ""
    return " and ".join(filter(None, (least or above, most)))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _arms(bare: Any) -> tuple[Any, ...]:
    return get_args(bare) if get_origin(bare) in {Union, UnionType} else (bare,)


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _item_hint(hint: Any) -> Any:
    """`X` of `tuple[X, ...]`, also when that is one arm of a union; None when a list has no place here."""
    tuples = (arm for arm in _arms(hint) if get_origin(arm) is tuple)
    return next((get_args(arm)[0] for arm in tuples), None)


def _found(value: object, hint: Any) -> str:
    """The kind of `value`; never the value, which may be a key in the wrong place."""
    bare = _bare(hint)
    if isinstance(value, str) and value == "":
        return "empty text"
    kind = _kind(value)
    if kind == _KINDS.get(bare):
        return "one that is not"
    if isinstance(value, str) and get_origin(bare) is Literal:
        return "other text"
    if isinstance(value, int | float) and str in (get_args(bare) or (bare,)):
        return f"{kind}; put it in quotes"
    return kind


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "something else")


def _shown(key: str) -> str:
    """An unknown key as it may be printed: an API key that slipped into a key's place is cut short."""
    return key if len(key) <= 24 and not key.startswith(("sk-", "fh-")) else f"{key[:4]}…"

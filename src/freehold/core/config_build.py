"""Plain values of a configuration file to typed ones, with every problem named by key and line. Pure.

msgspec alone would stop at the first problem and not say which key of a mapping it was in, so structs
and mappings are taken apart here, and msgspec converts the leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields

from freehold.core.config import Config
from freehold.core.config_checks import problems_in
from freehold.core.config_source import Document, Path, dotted
from freehold.core.errors import ConfigError


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
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            return self._struct(value, bare, path)
        if get_origin(bare) is dict:
            return self._mapping(value, get_args(bare)[1], path)
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
        known = {field.name: field for field in fields(struct)}
        for key in [key for key in given if key not in known]:
            self._unknown(key, list(known), path)
        for name in [name for name, field in known.items() if field.required and name not in given]:
            self.problem(f"{name} is missing", path)
        hints = get_type_hints(struct, include_extras=True)
        built = {
            name: self.build(part, hints[name], (*path, name))
            for name, part in given.items()
            if name in known
        }
        return None if self.problems else struct(**built)

    def _mapping(self, value: object, hint: Any, path: Path) -> object:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.problem(f"expected names and their values, found {_kind(value)}", path)
            return None
        given = cast(dict[str, object], value)
        return {name: self.build(part, hint, (*path, name)) for name, part in given.items()}

    def _list(self, value: list[object], hint: Any, path: Path) -> object:
        item = _item_hint(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
        if item is None:
            return self._leaf(value, hint, path)
        return tuple(self.build(part, item, (*path, position)) for position, part in enumerate(value))

    def _leaf(self, value: object, hint: Any, path: Path) -> object:
        try:
            return msgspec.convert(value, hint, strict=path not in self._expanded)
        except msgspec.ValidationError:
            self.problem(f"expected {expected_words(hint)}, found {_found(value, hint)}", path)
            return None

    def _unknown(self, key: str, known: list[str], path: Path) -> None:
        nearest = next(iter(get_close_matches(key, known, n=1)), None)
        valid = "" if nearest else f"; valid here: {', '.join(known)}"
        self.problem(f"unknown key{valid}.", (*path, _shown(key)), nearest)


def expected_words(hint: Any) -> str:
    """What a value of type `hint` is, for a person: `a whole number of at least 1`, `a list of text`."""
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        limits = [_limit_words(note) for note in notes if isinstance(note, msgspec.Meta)]
        return " ".join([expected_words(bare), *filter(None, limits)])
    if get_origin(hint) is Literal:
        return " or ".join(f"'{choice}'" for choice in get_args(hint))
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(expected_words(part) for part in get_args(hint) if part is not type(None))
    if (item := _item_hint(hint)) is not None:
        return f"a list of {expected_words(item)}"
    return _KINDS[hint]


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
    if meta.ge is not None:
        return f"of at least {meta.ge}"
    return f"above {meta.gt}" if meta.gt is not None else ""


def _item_hint(hint: Any) -> Any:
    """`X` of `tuple[X, ...]`, also when that is one arm of a union; None when a list has no place here."""
    if get_origin(hint) in {Union, UnionType}:
        return next((item for part in get_args(hint) if (item := _item_hint(part)) is not None), None)
    return get_args(hint)[0] if get_origin(hint) is tuple else None


def _found(value: object, hint: Any) -> str:
    """The kind of `value`; never the value, which may be a key in the wrong place."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
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

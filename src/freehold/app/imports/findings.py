"""What an import has found so far: sections of `freehold.yaml`, and notes on what it could not carry over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import yaml

from freehold.core.config import Config

Document = Mapping[str, Any]
NOT_CARRIED = "not carried over"
_NO_HINTS: Mapping[str, str] = {}
_WIDTH = 110


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person should look at. `key` is its path in the imported file."""

    key: str
    text: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration of ours as plain values, and the notes."""

    config: dict[str, Any]
    notes: tuple[Note, ...]


class Findings:
    """Collects; `done` hands over."""

    def __init__(self) -> None:
        self.providers: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, dict[str, Any]] = {}
        self.models: dict[str, list[str]] = {}
        self.prices: dict[str, dict[str, Any]] = {}
        self.budgets: list[dict[str, Any]] = []
        self.engines: dict[str, str] = {}
        self.keys: list[str] = []
        self.notes: list[Note] = []

    def note(self, key: str, text: str) -> None:
        self.notes.append(Note(key=key, text=text))

    def leave(
        self, section: Document, known: frozenset[str], path: str, hints: Mapping[str, str] = _NO_HINTS
    ) -> None:
        """A note for each key of `section` that was not taken; `hints` say what there is instead."""
        for key, value in section.items():
            if key not in known and value not in (None, "", [], {}):
                self.note(f"{path}.{key}".lstrip("."), hints.get(key, NOT_CARRIED))

    def done(self) -> Imported:
        """Only sections with something in them, and only those that this version knows."""
        sections: dict[str, Any] = {
            "auth": {"keys": self.keys} if self.keys else {},
            "providers": self.providers,
            "servers": self.servers,
            "engines": self.engines,
            "models": self.models,
            "prices": self.prices,
            "budgets": self.budgets,
        }
        known = Config.__struct_fields__
        for name in [name for name, section in sections.items() if section and name not in known]:
            self.note(name, f"this version of Freehold has no `{name}`; left out")
        config = {name: section for name, section in sections.items() if section and name in known}
        return Imported(config=config, notes=tuple(self.notes))


def as_yaml(imported: Imported, source: str) -> str:
    """The file: notes as comments at its head, then the sections."""
    head = [f"# Made from {_one_line(source)} by `freehold import`."]
    if imported.notes:
        head += ["#", "# Not carried over, or to be looked at:"]
        head += [_one_line(f"# - {note.key}: {note.text}") for note in imported.notes]
    body = yaml.safe_dump(imported.config, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "\n".join(head) + "\n\n" + (body if imported.config else "")


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def mapping(value: object) -> Document:
    """`value` when it has keys, else nothing: a foreign file may hold anything anywhere."""
    return cast("Document", value) if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """`value` when it is a list, else nothing."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def plain_name(text: str) -> str:
    """`text` as a name of ours: no slash, no white space."""
    return re.sub(r"[\s/\x00-\x1f\x7f]+", "-", text).strip("-") or "unnamed"


def free_name(wanted: str, taken: Mapping[str, object]) -> str:
    """`wanted`, with a number when it is taken."""
    if wanted not in taken:
        return wanted
    return next(f"{wanted}-{n}" for n in range(2, len(taken) + 3) if f"{wanted}-{n}" not in taken)

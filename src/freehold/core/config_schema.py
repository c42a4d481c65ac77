"""The JSON schema of `freehold.yaml`, made from the types and descriptions of `core.config`. Pure.

Editors use it to complete and check the file: `# yaml-language-server: $schema=...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from freehold.core.config import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXTS = {
    "duration": ("seconds", "text like `15m`", r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d|y)?\s*$"),
    "size": ("bytes", "text like `4GiB`", r"^\s*\d+(\.\d+)?\s*([KMGTkmgt][Ii]?[Bb]?|[Bb])?\s*$"),
}
"""How numbers with a unit are called, and their grammar: that of `core.quantities`."""
_VARIABLE = {"type": "string", "pattern": r"\$\{", "description": "A variable: `${NAME}`."}


def config_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12). Rules over texts and over several values are only in `read_config`."""
    schema = msgspec.json.schema(Config)
    sections: dict[str, Any] = schema["$defs"]
    for section in sections.values():
        properties: dict[str, Any] = section["properties"]
        section["properties"] = {name: _or_variable(part) for name, part in properties.items()}
    sections["ServerConfig"]["anyOf"] = [{"required": [key]} for key in ("model", "command", "adopt")]
    # Through JSON, because msgspec leaves defaults as tuples.
    return msgspec.json.decode(msgspec.json.encode({"$schema": DIALECT, "title": "freehold.yaml", **schema}))


def _or_variable(part: dict[str, Any]) -> dict[str, Any]:
    """A key whose value is no text also takes a `${VAR}` that stands for it."""
    outer = {key: part[key] for key in ("description", "examples", "default") if key in part}
    inner = {key: value for key, value in part.items() if key not in outer}
    arms = cast(list[dict[str, Any]], inner.get("anyOf", [inner]))
    plain = {"number", "integer", "boolean"}
    if any("enum" in arm or arm.get("type") in plain for arm in arms):
        return {**outer, "anyOf": [*(each for arm in arms for each in _written(arm)), _VARIABLE]}
    return part


def _written(arm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A size or a duration may be written as a number or as text."""
    kind = arm.get("x-reads")
    if kind is None:
        yield arm
        return
    number, text, pattern = _TEXTS[kind]
    yield {"title": number, **{key: value for key, value in arm.items() if key != "x-reads"}}
    yield {"title": text, "type": "string", "pattern": pattern}

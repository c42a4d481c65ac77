"""YAML text to plain values that still know their lines. Pure: no file is touched, no object is built.

YAML is read down to its nodes only, so tags cannot create anything, and each value keeps the line on
which it stands. What people regret in YAML is refused here: duplicate keys, tags, merge keys,
keys that are not text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
import yaml

from freehold.core.config_vars import expand, has_reference
from freehold.core.errors import ConfigError

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document."""

_MAX_NODES = 20_000
_MAX_DEPTH = 20
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null")}
_AS_TEXT = {f"{_TAG}timestamp", f"{_TAG}value"}
"""Plain scalars that YAML 1.1 takes for something nobody means here, such as a model named 2024-08-06."""


class Document(msgspec.Struct, frozen=True):
    """Plain values (dict, list, str, int, float, bool, None) and where they stand.

    `lines` are 1-based: a mapping's entry counts from its key. `expanded` are the paths whose text came
    from a variable: such a value may stand for a number, and must never be shown.
    """

    value: object
    lines: Mapping[Path, int]
    expanded: frozenset[Path]


def parse_document(text: str, file: str, variables: Mapping[str, str]) -> Document:
    """Reads one YAML document. `file` is only named in errors, `variables` fill in `${VAR}`.

    Raises ConfigError with file and line; variables' values never appear in it.
    """
    try:
        root = cast(yaml.Node | None, yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigError(f"not valid YAML: {_problem(error)}", file=file, line=line) from None
    except (yaml.YAMLError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "it has a forbidden character"
        raise ConfigError(f"not valid YAML: {why}", file=file) from None
    if root is None:
        return Document({}, {}, frozenset())
    reader = _Reader(file, variables)
    value = reader.read(root, ())
    return Document(value, reader.lines, frozenset(reader.expanded))


def _problem(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words without its excerpt of the file, which may hold a key."""
    words = (error.problem or error.context or "cannot be read").split("'")[0].strip()
    if "\\t" in (error.problem or ""):
        return "a tab stands where only spaces may indent"
    return words


def dotted(path: Path) -> str:
    """`providers.openai.models[0]` for `("providers", "openai", "models", 0)`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Reader:
    """Walks the nodes once; counts them, because YAML aliases can make a small file endless."""

    def __init__(self, file: str, variables: Mapping[str, str]) -> None:
        self.lines: dict[Path, int] = {}
        self.expanded: set[Path] = set()
        self._file = file
        self._variables = variables
        self._seen = 0
        self._scalars = yaml.SafeLoader("")

    def read(self, node: yaml.Node, path: Path) -> object:
        self._seen += 1
        self.lines.setdefault(path, node.start_mark.line + 1)
        if self._seen > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise self._error("the file is nested too deeply or repeats itself", node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items: list[yaml.Node] = node.value
            return [self.read(item, (*path, position)) for position, item in enumerate(items)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
        for key_node, value_node in pairs:
            key = self._key(key_node)
            here = (*path, key)
            if key in result:
                first = self.lines[here]
                raise self._error(f"stands here twice, first in line {first}", key_node, dotted(here))
            self.lines[here] = key_node.start_mark.line + 1
            result[key] = self.read(value_node, here)
        return result

    def _key(self, node: yaml.Node) -> str:
        if node.tag == f"{_TAG}merge":
            raise self._error("merge keys ('<<') are not supported; write the values out", node)
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _AS_TEXT | {f"{_TAG}str"}:
            raise self._error("a key must be text; put it in quotes", node)
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text = str(node.value)
        if node.tag in _AS_TEXT:
            return text
        if node.tag not in _SCALARS:
            raise self._error("tags ('!...') are not supported", node, dotted(path))
        if node.tag != f"{_TAG}str":
            try:
                return self._scalars.construct_object(node)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            except ValueError:
                raise self._error("cannot be read as the value it looks like", node, dotted(path)) from None
        if not has_reference(text):
            return text
        self.expanded.add(path)
        try:
            return expand(text, self._variables)
        except ConfigError as error:
            raise self._error(error.message, node, dotted(path)) from None

    def _error(self, message: str, node: yaml.Node, key: str | None = None) -> ConfigError:
        return ConfigError(message, file=self._file, line=node.start_mark.line + 1, key=key)

"""`${VAR}` in configuration values, and the `.env` file that may hold them. Pure: text in, text out.

No shell is imitated beyond this: `${NAME}`, `${NAME:-default}` (default when unset or empty, as in
POSIX), and `$${` for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from freehold.core.errors import ConfigError

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with every reference replaced. Raises ConfigError that names the variable, never a value."""

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name, default = found["name"], found["default"]
        if name is None:
            raise ConfigError("'${' is not followed by a variable's name and '}'; write '$${' to mean it")
        value = variables.get(name)
        if value or (value is not None and default is None):
            return value
        if default is None:
            raise ConfigError(
                f"variable {name} is not set; set it in the environment or in a .env file beside "
                f"this one, or give a default: ${{{name}:-...}}"
            )
        return default

    return _REFERENCE.sub(replaced, text)


def has_reference(text: str) -> bool:
    """Whether `expand` would change `text`, or refuse it."""
    return "${" in text


def parse_env_file(text: str, file: str) -> dict[str, str]:
    """The variables of a `.env` file: `NAME=value` lines, `#` comments, `export` allowed.

    Values in single quotes stand as they are; in double quotes `\\n`, `\\t`, `\\"` and `\\\\` are
    escapes; bare values end at ` #`. Raises ConfigError with file and line (never the line's text).
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        parts = _LINE.fullmatch(stripped)
        value = _env_value(parts["value"]) if parts else None
        if parts is None or value is None:
            raise ConfigError(
                "expected NAME=value, with quotes closed on the same line", file=file, line=number
            )
        found[parts["name"]] = value
    return found


def _env_value(raw: str) -> str | None:
    """The value that `raw` stands for, or None when a quote is left open."""
    if raw.startswith('"'):
        quoted = _DOUBLE.fullmatch(raw)
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), quoted["text"]) if quoted else None
    if raw.startswith("'"):
        quoted = _SINGLE.fullmatch(raw)
        return quoted["text"] if quoted else None
    return re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()

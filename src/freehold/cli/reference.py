"""Writes `docs/reference` from the program itself: `python -m freehold.cli.reference [FOLDER]`.

A test compares the pages with what this module makes, so they cannot lie.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import typer

from freehold.cli.commands import app
from freehold.cli.exits import MEANINGS
from freehold.core.config_schema import config_schema
from freehold.core.quantities import bytes_words

_MADE = "<!-- Made by `python -m freehold.cli.reference`; do not edit. -->"


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    makers = {"cli.md": cli_page, "config.md": config_page, "exit-codes.md": exit_codes_page}
    return {name: "\n".join([_MADE, *make()]) + "\n" for name, make in makers.items()}


def cli_page() -> Iterator[str]:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    yield from ("# Commands", "", root.help, "")
    yield "Every command prints JSON with `--json`; what it exits with is in [exit-codes.md](exit-codes.md)."
    context: Any = root.make_context("freehold", [], resilient_parsing=True)
    for name in root.list_commands(context):
        yield from _command(f"freehold {name}", root.get_command(context, name))


def _command(name: str, command: Any) -> Iterator[str]:
    children: dict[str, Any] = getattr(command, "commands", {})
    alone: bool = getattr(command, "invoke_without_command", False)
    usage = "COMMAND" if children and not alone else " ".join(_usage(command))
    yield from ("", f"{'##' if name.count(' ') == 1 else '###'} {name}", "", command.help or "", "")
    yield from ("```", f"{name} {usage}".strip(), "```")
    rows = [_parameter(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    if rows and (alone or not children):
        yield from ("", "| Argument or option | Meaning |", "|---|---|", *rows)
    for child, subcommand in children.items():
        yield from _command(f"{name} {child}", subcommand)


def _usage(command: Any) -> Iterator[str]:
    if any(not _is_argument(parameter) for parameter in command.params):
        yield "[OPTIONS]"
    for parameter in filter(_is_argument, command.params):
        name = str(parameter.metavar or parameter.name.upper()).strip("[]")
        many = "..." if parameter.nargs == -1 else ""
        yield f"{name}{many}" if parameter.required else f"[{name}]{many}"


def _parameter(parameter: Any) -> str:
    if _is_argument(parameter):
        names = f"`{str(parameter.metavar or parameter.name.upper()).strip('[]')}`"
    else:
        metavar = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
        names = ", ".join(f"`{option}{metavar}`" for option in parameter.opts)
    usual = parameter.default
    default = (
        f" Default: `{usual}`." if isinstance(usual, str | int) and usual not in (False, True, "") else ""
    )
    return f"| {_cell(names)} | {_cell((parameter.help or '') + default)} |"


def _is_argument(parameter: Any) -> bool:
    return parameter.param_type_name == "argument"


def config_page() -> Iterator[str]:
    """Every key of the configuration file."""
    schema = config_schema()
    sections: dict[str, Any] = schema["$defs"]
    yield from ("# Configuration", "", sections["Config"]["description"])
    yield (
        "An example with every key is [examples/freehold.yaml](../../examples/freehold.yaml); "
        "`freehold config check` names every mistake, `freehold config schema` prints the JSON schema."
    )
    yield from ("", "It is looked for in this order: `--config`, `$FREEHOLD_CONFIG`, `freehold.yaml` in the")
    yield from ("working directory, `~/.config/freehold/freehold.yaml`.", "")
    yield "`${NAME}` is replaced from the environment or from a `.env` file beside the configuration file;"
    yield "`${NAME:-text}` has a default, `$${` means `${`."
    for key, section in (("", "Config"), *_sections(sections, "Config")):
        yield from ("", f"## {key or 'Top level'}", "", sections[section]["description"], "")
        yield from ("| Key | Value | Default | Meaning |", "|---|---|---|---|")
        required = sections[section]["required"]
        for name, part in sections[section]["properties"].items():
            usual = "required" if name in required else _default(part)
            yield f"| `{name}` | {_cell(_value(part))} | {usual} | {_cell(part['description'])} |"


def _sections(sections: dict[str, Any], outer: str, above: str = "") -> Iterator[tuple[str, str]]:
    """Keys of the file that hold a section, and the section's name in the schema; inner ones after theirs."""
    for name, part in sections[outer]["properties"].items():
        inner: dict[str, Any] = part.get("additionalProperties") or {}
        for suffix, holder in (("", part), (".NAME", inner), ("[]", part.get("items") or {})):
            arms = [holder, *holder.get("anyOf", [])]
            for section in (_named(arm) for arm in arms if "$ref" in arm):
                yield f"{above}{name}{suffix}", section
                yield from _sections(sections, section, f"{above}{name}{suffix}.")


def _named(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _value(part: dict[str, Any]) -> str:
    if "title" in part:
        return str(part["title"])
    if "anyOf" in part:
        shown = [arm for arm in part["anyOf"] if "title" in arm or "pattern" not in arm]
        arms = [arm for arm in shown if arm.get("type") != "null"]
        return " or ".join(_value(arm) for arm in arms)
    if "enum" in part:
        return " or ".join(f"`{choice}`" for choice in part["enum"])
    if part.get("type") == "array":
        return f"list of {_value(part['items'])}"
    if part.get("type") == "object":
        return f"names, each with {_value(part['additionalProperties'])}"
    if "$ref" in part:
        return "keys and values"
    words: dict[str, str] = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
    }
    least = f", at least {part['minimum']}" if "minimum" in part else ""
    above = f", above {part['exclusiveMinimum']}" if "exclusiveMinimum" in part else ""
    most = f", at most {part['maximum']}" if "maximum" in part else ""
    return words[part["type"]] + least + above + most


def _default(part: dict[str, Any]) -> str:
    usual = part["default"]
    if usual is None or usual in ([], ()) or isinstance(usual, dict):
        return "none"
    if isinstance(usual, list | tuple):
        return f"`[{', '.join(map(str, cast(Iterable[object], usual)))}]`"
    if any(arm.get("title") == "bytes" for arm in part.get("anyOf", ())):
        return f"`{bytes_words(usual).replace('.0', '').replace(' ', '')}`"
    if isinstance(usual, bool):
        return f"`{str(usual).lower()}`"
    return f"`{usual:g}`" if isinstance(usual, float) else f"`{usual}`"


def exit_codes_page() -> Iterator[str]:
    """What each exit status means."""
    yield from ("# Exit codes", "", "Every command ends with one of these; scripts may rely on them.", "")
    yield from ("| Status | Name | Meaning |", "|---|---|---|")
    for code, words in MEANINGS.items():
        yield f"| {code.value} | {code.name.lower().replace('_', ' ')} | {words} |"
    yield from ("", "Errors are written to standard error; with `--json` as one line:", "")
    yield '`{"error": {"code": "not_running", "exit": 4, "message": "..."}}`'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(folder: Path) -> None:
    """Writes all pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/reference"))

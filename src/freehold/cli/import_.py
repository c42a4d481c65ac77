"""`freehold import`: another program's configuration made into a `freehold.yaml`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml

from freehold.app.imports import Imported, as_yaml, from_litellm, from_llama_swap
from freehold.cli.options import JsonOption
from freehold.cli.output import print_json, say
from freehold.core.errors import ConfigError, FreeholdError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make a freehold.yaml from another program's file."
)
_LARGEST_BYTES = 16 * 1024 * 1024

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The other program's file.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Where to write. Otherwise it is printed."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


@app.command("litellm")
def litellm(
    file: FileArgument, out: OutOption = None, force: ForceOption = False, as_json: JsonOption = False
) -> None:
    """From LiteLLM's proxy configuration (config.yaml)."""
    _import(file, out, from_litellm, force=force, as_json=as_json)


@app.command("llama-swap")
def llama_swap(
    file: FileArgument, out: OutOption = None, force: ForceOption = False, as_json: JsonOption = False
) -> None:
    """From llama-swap's configuration (config.yaml)."""
    _import(file, out, from_llama_swap, force=force, as_json=as_json)


def _import(
    file: Path,
    out: Path | None,
    convert: Callable[[Mapping[str, Any]], Imported],
    *,
    force: bool,
    as_json: bool,
) -> None:
    imported = convert(read_document(file))
    if as_json:
        print_json(imported)
    text = as_yaml(imported, file.name)
    if out is None:
        if not as_json:
            print(text, end="")
        return
    _write(out, text, force=force)
    if as_json:
        return
    say(f"Wrote {out}.")
    for note in imported.notes:
        say(f"  {note.key}: {note.text}")
    say("`freehold config check` says what is still missing, such as variables that are not set.")


def read_document(file: Path) -> Mapping[str, Any]:
    """The YAML mapping in `file`. Raises ConfigError with file and line."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise ConfigError("is too large for a configuration", file=str(file))
        value: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", file=str(file)) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError("not valid YAML", file=str(file), line=line) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError("not valid YAML", file=str(file)) from None
    if not isinstance(value, Mapping):
        raise ConfigError("holds no keys and values", file=str(file))
    return cast("Mapping[str, Any]", value)


def _write(out: Path, text: str, *, force: bool) -> None:
    """The file may hold keys, so only its owner may read it."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(out, flags, 0o600), "w", encoding="utf-8") as written:
            os.fchmod(written.fileno(), 0o600)  # also one that was there
            written.write(text)
    except FileExistsError:
        raise FreeholdError(f"{out} is there already: --force writes over it, --out names another") from None
    except OSError as error:
        raise FreeholdError(f"{out} cannot be written: {error.strerror}") from error

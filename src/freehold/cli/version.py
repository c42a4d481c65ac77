"""`freehold version`: what runs here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import typer

from freehold import __version__
from freehold.cli.options import JsonOption
from freehold.cli.output import print_facts, print_json

app = typer.Typer(add_completion=False)

_PARTS = ("uvloop", "httptools", "msgspec", "genai-prices", "xllamacpp")


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the version of Freehold and of the parts it depends on most."""
    parts = {part: _installed(part) for part in _PARTS}
    if as_json:
        print_json({"freehold": __version__, "python": platform.python_version(), "parts": parts})
        return
    print_facts(
        [
            ("freehold", __version__),
            ("python", platform.python_version()),
            *((part, found or "not installed") for part, found in parts.items()),
        ]
    )


def _installed(package: str) -> str | None:
    try:
        return installed(package)
    except PackageNotFoundError:
        return None

"""Options that several commands share, and what they fall back to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from freehold.core.home import home_dir

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="State folder. Otherwise $FREEHOLD_HOME, or the user's own."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file. Otherwise $FREEHOLD_CONFIG, ./freehold.yaml, "
        "~/.config/freehold/freehold.yaml.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Where Freehold answers. Otherwise what the state folder says."
    ),
]


def chosen_home(home: Path | None) -> Path:
    """The state folder that `--home`, or else the environment, names."""
    return home.expanduser().absolute() if home else home_dir(os.environ)

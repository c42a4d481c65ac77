"""Where Freehold keeps its state: one folder per user, or the one that `$FREEHOLD_HOME` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def home_dir(env: Mapping[str, str]) -> Path:
    """The state folder: `$FREEHOLD_HOME`, else `$XDG_STATE_HOME/freehold`, else `~/.local/state/freehold`.

    Only names the folder; it need not exist. `env` is the environment to look in.
    """
    if named := env.get("FREEHOLD_HOME"):
        return expand_user(named, env).absolute()
    if state := env.get("XDG_STATE_HOME"):
        return Path(state) / "freehold"
    return user_dir(env) / ".local" / "state" / "freehold"


def user_dir(env: Mapping[str, str]) -> Path:
    """The user's own folder: `$HOME`, else what the system says."""
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


def expand_user(path: str, env: Mapping[str, str]) -> Path:
    """`~` and `~/...` replaced by the user's folder of `env`; `~someone` by theirs."""
    if path == "~" or path.startswith("~/"):
        return user_dir(env) / path[2:]
    return Path(path).expanduser() if path.startswith("~") else Path(path)

"""Finds `freehold.yaml`, reads it, and turns it into `Config`; errors name file, line and key.

The only module of `core` that reads files. YAML and positions are in `config_source`, variables in
`config_vars`, types in `config_build`, rules over values in `config_checks`, paths in `config_paths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from freehold.core.config import Config
from freehold.core.config_paths import with_full_paths
from freehold.core.config_vars import parse_env_file
from freehold.core.errors import ConfigError
from freehold.core.home import expand_user, user_dir

FILE_NAME = "freehold.yaml"
_MAX_BYTES = 1 << 20


Stamp = tuple[int, int, int] | None
"""None: there is no such file."""
Stamps = tuple[Stamp, ...]


class LoadedConfig(msgspec.Struct, frozen=True):
    """The settings in force, and the file they came from (None: no file, all defaults)."""

    config: Config
    file: Path | None = None
    stamps: Stamps = ()
    """Of that file before it was read: a change since then is one that was not."""


def load_config(explicit: Path | None, env: Mapping[str, str], cwd: Path) -> LoadedConfig:
    """Finds and reads the configuration. Raises ConfigError for the first problem in the file."""
    file = find_config(explicit, env, cwd)
    if file is None:
        return LoadedConfig(Config())
    stamps = stamps_of(file)
    config, problems = read_config(file, env)
    if config is None:
        raise problems[0]
    return LoadedConfig(config, file, stamps)


def stamps_of(file: Path) -> Stamps:
    """Tell one state of a configuration file, and of the `.env` beside it, from another."""
    return tuple(map(_stamp, (file, file.parent / ".env")))


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def find_config(explicit: Path | None, env: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to read, absolute, or None when there is none.

    In this order: `explicit` (from `--config`), `$FREEHOLD_CONFIG`, `freehold.yaml` in `cwd`, the user's
    config folder. The first two must exist: raises ConfigError when they do not.
    """
    if explicit is not None:
        return _must_exist(cwd / expand_user(str(explicit), env), "--config")
    if named := env.get("FREEHOLD_CONFIG"):
        return _must_exist(cwd / expand_user(named, env), "$FREEHOLD_CONFIG")
    for folder in (cwd, user_config_dir(env)):
        if (folder / FILE_NAME).is_file():
            return (folder / FILE_NAME).absolute()
    return None


def user_config_dir(env: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/freehold`, else `~/.config/freehold`."""
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else user_dir(env) / ".config") / "freehold"


def read_config(file: Path, env: Mapping[str, str]) -> tuple[Config | None, list[ConfigError]]:
    """One file's settings, or every problem found in it, in the order of lines. Raises nothing.

    Variables come from `env`, then from a `.env` file beside `file`. Paths in the result are absolute.
    """
    # YAML costs 30 ms of the start, and most starts have no file.
    from freehold.core.config_build import build_config  # noqa: PLC0415
    from freehold.core.config_source import parse_document  # noqa: PLC0415

    try:
        variables = {**_env_file(file.parent / ".env"), **env}
        document = parse_document(_text(file), str(file), variables)
    except ConfigError as error:
        return None, [error]
    config, problems = build_config(document, str(file))
    return (with_full_paths(config, file.parent, env, Path.exists), []) if config else (None, problems)


def _must_exist(path: Path, said_by: str) -> Path:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise ConfigError(f"{what} (named by {said_by})", file=str(path))
    return path.absolute()


def _text(file: Path) -> str:
    """The file's text. Raises ConfigError when it cannot be read, is too large, or not UTF-8."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(file)) from None
    if len(raw) > _MAX_BYTES:
        raise ConfigError("is larger than 1 MiB, which no configuration is", file=str(file))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", file=str(file), line=line) from None


def _env_file(file: Path) -> dict[str, str]:
    return parse_env_file(_text(file), str(file)) if file.is_file() else {}

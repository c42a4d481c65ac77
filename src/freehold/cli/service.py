"""`freehold service`: Freehold under the user's own systemd. Where there is none, the unit is written all the
same, and what to run is said.

The unit's text is `app.units`; here it is written, and `systemctl` is asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from freehold.app.units import UNIT, Service, unit_of_freehold
from freehold.cli.exits import Exit
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_facts, print_json, say
from freehold.core.config import Config
from freehold.core.config_file import find_config, read_config
from freehold.core.errors import FreeholdError
from freehold.core.home import user_dir
from freehold.core.quantities import parse_bytes

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Run Freehold as a service of the user's systemd."
)

_KEPT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "FREEHOLD_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "FREEHOLD_LLAMA_SERVER",
)
"""What of the shell's environment the service gets: where programs and files are. Keys belong into `.env`."""
_ANSWER_S = 150.0
"""More than the unit's own time to stop."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
MemoryMax = Annotated[
    str | None,
    typer.Option(
        "--memory-max",
        metavar="SIZE",
        help="Bound of Freehold and its model servers together, like 48GiB, or `none`. By default all memory "
        "but `memory.ram_reserve`.",
    ),
]


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """The service as systemd sees it."""

    file: str
    installed: bool
    active: str = "unknown"
    """systemd's word: `active`, `inactive`, `failed`, ...; `unknown` where no systemd answers."""
    enabled: str = "unknown"
    pid: int | None = None
    lingers: bool | None = None
    """Whether it also runs while the user is not logged in; None where nobody knows."""


@app.command()
def install(
    config: ConfigOption = None,
    home: HomeOption = None,
    memory_max: MemoryMax = None,
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Write the unit, enable and start it. Fails (1) when the unit is written, but no systemd started it."""
    file = find_config(config, os.environ, Path.cwd())
    env = _service_env(home)
    settings = _checked(file, env)
    text = unit_of_freehold(_service(file, chosen_home(home), env, _limit(memory_max, settings)))
    path = _unit_file()
    if dry_run:
        _tell_plan(path, text, as_json)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    for command in (("daemon-reload",), ("enable", UNIT), ("restart", UNIT)):
        _systemctl(*command, told=f"{path} is written")
    if as_json:
        print_json(_state())
        return
    say(f"{path} is written, and the service runs.")
    for hint in _hints(settings):
        say(hint)


@app.command()
def uninstall(dry_run: DryRun = False, as_json: JsonOption = False) -> None:
    """Stop the service and remove its unit."""
    path = _unit_file()
    there = path.exists()
    if there and not dry_run:
        try:
            _systemctl("disable", "--now", UNIT, told=f"{path} is removed")
        finally:
            path.unlink(missing_ok=True)
        _systemctl("daemon-reload", told=f"{path} is removed")
    if as_json:
        print_json({"file": str(path), "removed": there and not dry_run})
    elif not there:
        say(f"There is no {path}: nothing to remove.")
    else:
        say(f"Would stop the service and remove {path}." if dry_run else f"{path} is removed.")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Whether it is installed and runs. Exit status 4 when it does not run."""
    state = _state()
    if as_json:
        print_json(state)
    else:
        lingers = {True: "yes", False: "no: it ends with your last login", None: "unknown"}[state.lingers]
        print_facts(
            (
                ("unit", state.file if state.installed else f"{state.file} (not there)"),
                ("state", state.active),
                ("at login", state.enabled),
                ("without login", lingers),
                *((("pid", state.pid),) if state.pid else ()),
            )
        )
    raise typer.Exit(Exit.OK if state.active == "active" else Exit.NOT_RUNNING)


# -- what the unit says


def _service(file: Path | None, home: Path, env: Mapping[str, str], limit: int | None) -> Service:
    options = ["--config", str(file)] if file else []
    return Service(
        argv=(*_program(), "up", *options, "--home", str(home)),
        folder=str(file.parent if file else user_dir(os.environ)),
        env=env,
        env_file=str(file.parent / ".env") if file else None,
        memory_high_bytes=None if limit is None else limit - limit // 20,
        memory_max_bytes=limit,
    )


def _program() -> tuple[str, ...]:
    """This very Freehold, with its full path."""
    beside = Path(sys.executable).with_name("freehold")
    return (str(beside),) if beside.exists() else (sys.executable, "-P", "-m", "freehold")


def _service_env(home: Path | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if os.environ.get(name)}
    if home is not None:
        kept.pop("FREEHOLD_HOME", None)
    return kept


def _checked(file: Path | None, env: Mapping[str, str]) -> Config:
    """The settings as the service will read them: a variable of this shell alone would be missing there.
    Raises ConfigError."""
    if file is None:
        return Config()
    config, problems = read_config(file, {"HOME": str(user_dir(os.environ)), **env})
    if config is None:
        raise problems[0]
    return config


def _limit(said: str | None, config: Config) -> int | None:
    if said is not None:
        return None if said == "none" else parse_bytes(said)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    rest = total - config.memory.ram_reserve_bytes
    return rest if rest > total // 2 else None


def _unit_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else user_dir(os.environ) / ".config") / "systemd" / "user" / UNIT


def _tell_plan(path: Path, text: str, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path), "unit": text})
    else:
        typer.echo(f"# {path}\n{text}", nl=False)


def _hints(config: Config) -> list[str]:
    hints: list[str] = []
    if not config.keep_servers:
        hints.append(
            "With `keep_servers: true` in the configuration, model servers live on over its restarts."
        )
    if _lingers() is False:
        hints.append("It ends with your last login; to keep it running: loginctl enable-linger")
    return hints


# -- systemd


def _systemctl(*arguments: str, told: str) -> None:
    """Raises FreeholdError with what to do when systemd is not there or refuses."""
    by_hand = f"systemctl --user {' '.join(arguments)}"
    program = shutil.which("systemctl")
    if program is None:
        raise FreeholdError(f"{told}, but there is no systemd here; where there is: {by_hand}")
    ran = _run(program, "--user", *arguments)
    if ran.returncode != 0:
        said = (ran.stderr or ran.stdout).strip() or f"exit status {ran.returncode}"
        raise FreeholdError(f"{told}, but systemd did not do its part ({said}); try: {by_hand}")


def _state() -> ServiceState:
    path = _unit_file()
    bare = ServiceState(file=str(path), installed=path.exists(), lingers=_lingers())
    program = shutil.which("systemctl")
    if program is None:
        return bare
    names = ("ActiveState", "UnitFileState", "MainPID")
    ran = _run(program, "--user", "show", UNIT, *(f"--property={name}" for name in names))
    if ran.returncode != 0:
        return bare
    facts = {line.partition("=")[0]: line.partition("=")[2] for line in ran.stdout.splitlines()}
    pid = facts.get("MainPID", "0")
    return msgspec.structs.replace(
        bare,
        active=facts.get("ActiveState") or "unknown",
        enabled=facts.get("UnitFileState") or "no",
        pid=int(pid) if pid.isdigit() and pid != "0" else None,
    )


def _lingers() -> bool | None:
    program = shutil.which("loginctl")
    if program is None:
        return None
    ran = _run(program, "show-user", str(os.getuid()), "--property=Linger")
    return {"Linger=yes": True, "Linger=no": False}.get(ran.stdout.strip())


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - systemd's own programs
            argv, capture_output=True, text=True, check=False, timeout=_ANSWER_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise FreeholdError(f"systemd did not answer within {_ANSWER_S:.0f} s: {' '.join(argv)}") from error

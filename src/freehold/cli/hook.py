"""`freehold hook`: what agents' own hooks call, and the settings that make them call it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec
import typer

from freehold.cli.hook_post import HookOptions, post_tool_use
from freehold.cli.option_struct import takes
from freehold.cli.options import HomeOption, UrlOption
from freehold.cli.output import say
from freehold.core.errors import FreeholdError

app = typer.Typer(no_args_is_help=True, help="Receipts for the tools that agents use.")

Agent = Literal["claude-code", "codex"]
_EVENTS: dict[Agent, tuple[str, ...]] = {
    "claude-code": ("PostToolUse", "PostToolUseFailure"),
    "codex": ("PostToolUse",),
}
_TIMEOUT_S = 5
"""For the agent, which ends a hook that takes longer; ours takes a second at most."""
_OURS = "hook post-tool-use"
_OUR_COMMAND = re.compile(rf"freehold['\"]* {_OURS}")


class _PostOptions(HookOptions, frozen=True, kw_only=True):
    home: Annotated[
        str | None,
        typer.Option(
            "--home", metavar="DIR", help="State folder. Otherwise $FREEHOLD_HOME, or the user's own."
        ),
    ] = None
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Where Freehold answers. Otherwise what the state folder says."
        ),
    ] = None
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Whose use of a tool it is.")] = ""
    project: Annotated[str, typer.Option("--project", metavar="NAME", help="The project it is for.")] = ""
    task: Annotated[str, typer.Option("--task", metavar="KIND", help="The kind of task it is for.")] = ""
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when the event was neither taken nor kept.")
    ] = False


@app.command("post-tool-use")
@takes(_PostOptions)
def post_tool_use_(options: _PostOptions) -> None:
    """Record one use of a tool: reads the event of an agent's hook (JSON) from standard input.

    Takes Claude Code's and Codex's events, and the body of POST /api/v1/receipts/tool. Of arguments and
    results only hashes are kept. Never stands in the agent's way: when Freehold does not answer, the event
    waits in the state folder until it does.
    """
    raise typer.Exit(post_tool_use(options))


@app.command("install")
def install(
    agent: Annotated[Agent, typer.Argument(help="Which agent.")],
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="Write it into this file of the agent's settings; all else in it stays. "
            "Otherwise it is printed.",
        ),
    ] = None,
    project: Annotated[
        str, typer.Option("--project", metavar="NAME", help="The project that the hook shall name.")
    ] = "",
    home: HomeOption = None,
    url: UrlOption = None,
) -> None:
    """Print the hook as the agent's settings want it (JSON), or write it into them."""
    told = {"agent": agent, "project": project, "home": str(home.absolute()) if home else "", "url": url}
    options = [f"--{name}={value}" for name, value in told.items() if value]
    command = f"{_program()} {_OURS} {shlex.join(options)}"
    if settings is None:
        print(_pretty(with_hook({}, agent, command)))
        return
    before = _read(settings)
    after = with_hook(before, agent, command)
    if after == before:
        say(f"{settings} has the hook already.")
        return
    _replace(settings, f"{_pretty(after)}\n")
    say(f"{settings} has the hook now. {agent} reads it when its next session begins.")


def with_hook(settings: dict[str, Any], agent: Agent, command: str) -> dict[str, Any]:
    """The same settings with our hook, once, after every tool. Raises FreeholdError where `hooks` is not what
    agents write there."""
    hooks: Any = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise FreeholdError("`hooks` in these settings is not an object; nothing was changed")
    entry = {"type": "command", "command": command, "timeout": _TIMEOUT_S}
    changed = dict(cast("dict[str, Any]", hooks))
    for event in _EVENTS[agent]:
        groups: Any = changed.get(event, [])
        if not isinstance(groups, list):
            raise FreeholdError(f"`hooks.{event}` in these settings is not a list; nothing was changed")
        others = [group for group in cast("list[Any]", groups) if not _is_ours(group)]
        changed[event] = [*others, {"matcher": "*", "hooks": [entry]}]
    return settings | {"hooks": changed}


def _is_ours(group: Any) -> bool:
    """Whether a group has our hook and nothing else."""
    inner = cast("dict[str, Any]", group).get("hooks") if isinstance(group, dict) else None
    if not isinstance(inner, list) or not inner:
        return False
    return all(_OUR_COMMAND.search(str(hook)) for hook in cast("list[Any]", inner))


def _program() -> str:
    """How the agent's shell shall call us: by the short name where that finds this program."""
    own = Path(sys.argv[0]).absolute()
    named = shutil.which("freehold")
    if named is not None and (own.name != "freehold" or Path(named).resolve() == own.resolve()):
        return "freehold"
    return shlex.quote(str(own)) if own.name == "freehold" else f"{shlex.quote(sys.executable)} -m freehold"


def _pretty(value: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FreeholdError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(data, type=dict[str, Any]) if data.strip() else {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FreeholdError(f"{path} is no JSON object ({error}); nothing was changed") from error


def _replace(path: Path, text: str) -> None:
    """The whole new file or the old one, with the old one's permissions; through a link to its target."""
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        handle, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.write(text)
        Path(part).replace(target)
    except OSError as error:
        raise FreeholdError(f"{path} cannot be written: {error.strerror}") from error

"""`freehold hook post-tool-use`, without Typer: agents wait for it after each tool.

It never stands in an agent's way: at most about a second, one line on the second stream, exit status 0 unless
`--strict` was said. What no Freehold takes now is kept in the state folder until one does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from freehold.cli.exits import Exit
from freehold.cli.wording import plain
from freehold.core.errors import FreeholdError
from freehold.core.home import expand_user, home_dir

READ_S, ASK_S, KEEP_S = 0.4, 0.8, 0.2
"""The longest that each part may take; reading and asking together take at most `ASK_S`."""
LARGEST_BYTES = 64 * 1024 * 1024
PATH = "/api/v1/receipts/tool"
_WITH_VALUE = ("home", "url", "agent", "project", "task")


class HookOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was told."""

    home: str | None = None
    url: str | None = None
    agent: str = ""
    project: str = ""
    task: str = ""
    strict: bool = False


def quick_hook(arguments: Sequence[str]) -> int | None:
    """Does what the words after `freehold hook post-tool-use` say; None when it is help that is wanted."""
    if "--help" in arguments or "-h" in arguments:
        return None
    strict = "--strict" in arguments
    try:
        options = read_options(arguments)
    except FreeholdError as error:  # an agent may take a usual usage error for an order to stop
        return _complain(str(error), strict=strict)
    return post_tool_use(options)


def read_options(arguments: Sequence[str]) -> HookOptions:
    """Raises FreeholdError for what is no option."""
    found: dict[str, str | bool] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument == "--strict":
            found["strict"] = True
            continue
        option, equals, value = argument.partition("=")
        name = option.removeprefix("--")
        value = value if equals else next(rest, "")
        if not option.startswith("--") or name not in _WITH_VALUE or not value:
            raise FreeholdError(f"{argument!r} is not understood; see `freehold hook post-tool-use --help`")
        found[name] = value
    return msgspec.convert(found, HookOptions)


def post_tool_use(options: HookOptions) -> int:
    """Reads the event from the first stream; returns the exit status."""
    try:
        trouble = _told(options)
    except Exception as error:
        trouble = str(error) or type(error).__name__
    return _complain(trouble, strict=options.strict) if trouble else Exit.OK


def _told(options: HookOptions) -> str:
    """Tell the running Freehold, or keep it; what went wrong. Raises what reading raises."""
    begun_s = time.monotonic()
    with _at_most(READ_S, "no event came"):
        raw = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise FreeholdError("the event is too long")
    home = expand_user(options.home, os.environ).absolute() if options.home else home_dir(os.environ)
    body = _body(raw, options)
    left_s = ASK_S - (time.monotonic() - begun_s)
    try:
        if left_s <= 0:  # on a machine that is this busy, the start took it all
            raise TimeoutError("there was no time to ask Freehold")
        with _at_most(left_s, "Freehold took too long"):
            _post(home, options.url, body)
    except _NobodyThere:
        why = ""
    except (FreeholdError, TimeoutError) as error:
        why = f"{error}; "
    else:
        return ""
    with _at_most(KEEP_S, "it could not be kept in time"):
        from freehold.receipts.spool import add  # noqa: PLC0415 - seldom

        try:
            add(home, body)
        except TimeoutError:
            raise
        except OSError as error:
            words = f"{why}the event is lost: {home / 'spool'} cannot be written: {error.strerror}"
            raise FreeholdError(words) from error
    return f"{why}kept until Freehold answers" if why else ""


def _body(raw: bytes, options: HookOptions) -> bytes:
    from freehold.cli.hook_event import use_of  # noqa: PLC0415 - after the options are read
    from freehold.receipts.tools import tool_body  # noqa: PLC0415

    use = use_of(raw, time.time_ns() // 1_000_000)
    return tool_body(
        msgspec.structs.replace(
            use,
            agent=use.agent or options.agent[:256],
            project=use.project or options.project[:256],
            task=use.task or options.task[:256],
            # By an id of its own it is known again, when it is kept although it did arrive.
            call_id=use.call_id or f"hook-{os.urandom(12).hex()}",
            source="hook",
        )
    )


class _NobodyThere(Exception):
    """No Freehold runs."""


def _post(home: Path, url: str | None, body: bytes) -> None:
    from freehold.core.progress import RUN_FILE  # noqa: PLC0415

    if url is None and not (home / RUN_FILE).exists():  # the usual way of not running costs nothing
        raise _NobodyThere
    from freehold.cli.control_client import find_running  # noqa: PLC0415 - half of the time that this takes
    from freehold.cli.exits import NotRunning  # noqa: PLC0415
    from freehold.receipts.tools import ToolView  # noqa: PLC0415

    try:
        find_running(home, url).post(PATH, ToolView, ASK_S, msgspec.Raw(body))
    except NotRunning as error:
        raise _NobodyThere from error


def _complain(words: str, *, strict: bool) -> int:
    line = " ".join(plain(FreeholdError(words)).split())
    with contextlib.suppress(OSError):
        if sys.stderr is not None:  # else it would go to the first stream, which agents read
            print(f"freehold hook: {line[:300]}", file=sys.stderr)
    return Exit.FAILED if strict else Exit.OK


@contextlib.contextmanager
def _at_most(seconds: float, words: str) -> Generator[None]:
    """Raises TimeoutError in what takes longer, whatever it waits for: name look-ups and locks too."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(words)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

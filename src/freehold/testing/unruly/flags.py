"""What the unruly server can be told. An unknown flag ends it with code 2 and argparse's own words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

_MOMENT = re.compile(r"start|bind|ready|\d+-calls|in-call-\d+")


class Flags(argparse.Namespace):
    """All orders of one run. Defaults behave well."""

    port: int = 0
    die_after: str = ""
    """`start` (before it listens), `bind` (it listens and loads), `ready` (the first health probe was
    answered with 200), `N-calls` (the N-th call was answered), `in-call-N` (two tokens into the N-th)."""
    how: str = "exit:1"
    """One of `ends.WAYS`, or `exit:CODE`, `oom:MIB`, `disk:FOLDER`."""
    poison: str = ""
    """A prompt that contains this text makes it end, whatever `die_after` says."""
    load_s: float = 0.0
    load_mib: int = 0
    """Memory that it takes and touches while it loads."""
    mute: bool = False
    """Healthy, but generates nothing: calls are accepted and never answered."""
    token_s: float = 0.0
    tokens: int = 8
    model: str = ""
    """A file that it maps, and reads from again at each call."""
    ignore_term: bool = False
    raw_term: bool = False
    """SIGTERM has its default effect instead of a clean end with code 0."""
    grandchildren: int = 0
    worker: bool = False
    """Has a child that it cannot live without: when that dies, it ends with code 1."""
    say: Sequence[str]
    """Lines that it prints at its start."""
    chatter: int = 0
    """Lines of idle talk that it prints before it dies."""


def read_flags(arguments: Sequence[str]) -> Flags:
    """Ends the program with code 2 for what it does not understand."""
    parser = argparse.ArgumentParser(prog="unruly", allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name in ("port", "load-mib", "tokens", "grandchildren", "chatter"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("load-s", "token-s"):
        parser.add_argument(f"--{name}", type=float)
    for name in ("mute", "ignore-term", "raw-term", "worker"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("how", "poison", "model"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--die-after", type=_moment)
    parser.add_argument("--say", action="append", default=[])
    return parser.parse_args(list(arguments), namespace=Flags())


def _moment(text: str) -> str:
    if _MOMENT.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment to die at")
    return text

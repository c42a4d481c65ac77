"""What the exit status of every command means. Scripts may rely on it."""

from __future__ import annotations

from enum import IntEnum

from freehold.core.errors import ConfigError, FreeholdError


class Exit(IntEnum):
    """Exit statuses; `MEANINGS` says them in words."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    NOT_RUNNING = 4
    NOT_PROVEN = 5
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "Done.",
    Exit.FAILED: "It failed, or the check found problems; the reason stands on the second output stream.",
    Exit.USAGE: "The command line was not understood.",
    Exit.CONFIG: "The configuration cannot be used; file, line and key are named.",
    Exit.NOT_RUNNING: "No running Freehold was found at the address.",
    Exit.NOT_PROVEN: "A verification failed: the receipts log was changed, cut or damaged.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C before it was done.",
}


class NotRunning(FreeholdError):
    """No Freehold answers at the address."""


class NotProven(FreeholdError):
    """A receipt, a proof or the log did not pass its verification."""


def exit_of(error: FreeholdError) -> Exit:
    """The status for an error that ends a command."""
    if isinstance(error, ConfigError):
        return Exit.CONFIG
    if isinstance(error, NotRunning):
        return Exit.NOT_RUNNING
    return Exit.NOT_PROVEN if isinstance(error, NotProven) else Exit.FAILED

"""Runs between fork and engine: ties the engine's life to Freehold's, then becomes the engine.

    python -I -S launcher.py PARENT_PID PROGRAM ARGUMENT...

A separate program rather than a `preexec_fn`, which is unsafe beside threads. On Linux the kernel kills
the engine when the thread that started it dies; elsewhere this does nothing. Imports only the standard
library: it runs without `freehold` on its path.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: list[str]) -> int:
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415  (only where it is needed: it costs milliseconds)

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            return 1
    try:
        os.execvp(command[0], command)  # noqa: S606  (the whole point, and no shell is wanted)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 126 if isinstance(error, PermissionError) else 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A stand-in engine: a real process that behaves as its model's name says. Not llama.cpp, hence quick."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import psutil

from freehold.core.servers import EngineMissingError, Launch, ServerSpec

_PROGRAM = """
import http.server, os, signal, subprocess, sys, time
how, port, mark = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print("I am", how, "with", sorted(os.environ), flush=True)
starts = 1
if how == "refuses":
    print("error: I never start", file=sys.stderr); sys.exit(3)
if how == "second-time-lucky" and not os.path.exists(mark):
    open(mark, "w").close(); sys.exit(1)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how == "parent":
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"])
if how == "never-ready":
    time.sleep(600)
begun = [0]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        begun[0] += 1
        self.send_response(503 if how == "slow" and begun[0] < 3 else 200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class StandinEngine:
    """`spec.model` names the behaviour: ready, slow, refuses, second-time-lucky, stubborn, parent,
    never-ready, missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def launch(self, spec: ServerSpec, port: int) -> Launch:
        if Path(spec.model).name == "missing":
            raise EngineMissingError("install the stand-in")
        mark = self._folder / f"{spec.name}.mark"
        argv = (sys.executable, "-I", "-S", "-c", _PROGRAM, Path(spec.model).name, str(port), str(mark))
        return Launch(argv=argv, env={"PATH": "/usr/bin", "ALLOWED": "yes"}, program="stand-in")


async def wait_gone(process: psutil.Process, within_s: float) -> None:
    """Until it runs no more. Its entry may still wait for the machine's init to take it away."""
    with contextlib.suppress(psutil.NoSuchProcess):
        async with asyncio.timeout(within_s):
            while process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110  (nobody tells a stranger)
                await asyncio.sleep(0.005)

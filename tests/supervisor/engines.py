"""A stand-in engine: a real process that behaves as its model's name says. Not llama.cpp, hence quick."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import psutil

from freehold.core.memory import MemoryNeed, MemoryPart, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

PROGRAM = """
import http.server, os, signal, subprocess, sys, threading, time
how, port, mark = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print("I am", how, "with", sorted(os.environ), flush=True)
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
begun, mode = [0], ["failing" if how == "failing" else ""]
def spin():
    while mode[0] == "busy": pass
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status):
        self.send_response(status); self.end_headers(); self.wfile.write(b"x")
    def do_GET(self):
        begun[0] += 1
        if self.path.startswith("/become/"):
            mode[0] = self.path[8:]
            if mode[0] == "busy": threading.Thread(target=spin, daemon=True).start()
            self.answer(200)
        elif mode[0] in ("silent", "busy"): time.sleep(600)
        elif mode[0] == "broken": self.answer(500)
        else: self.answer(503 if how == "slow" and begun[0] < 3 else 200)
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if mode[0] == "mute": time.sleep(600)
        if how == "lazy-broken":
            self.send_response(404); self.end_headers(); self.wfile.write(b'{"error": "no such model"}')
            return
        if mode[0] == "failing": return self.answer(500)
        print("one token", flush=True)
        self.answer(200)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class StandinEngine:
    """`spec.model` names the behaviour: ready, slow, refuses, second-time-lucky, stubborn, parent,
    never-ready, missing, lazy (loads with the first call), lazy-broken, failing (never generates).
    `spec.args` change nothing but what is launched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.placements: list[Placement | None] = []
        """Of each launch."""

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        self.placements.append(placement)
        if Path(spec.model).name == "missing":
            raise EngineMissingError("install the stand-in")
        mark = self._folder / f"{spec.name}.mark"
        argv = (sys.executable, "-I", "-S", "-c", PROGRAM, Path(spec.model).name, str(port), str(mark))
        return Launch(
            argv=(*argv, *spec.args),
            env={"PATH": "/usr/bin", "ALLOWED": "yes"},
            program="stand-in",
            probe_path="/one",
            probe_body=b"{}",
            load_path="/one" if spec.model.startswith("lazy") else "",
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        if not any(line.startswith("I am") for line in output):
            return None
        return MemoryNeed(parts=(MemoryPart(what="weights", bytes=len(spec.name)),), source="measured")


async def become(base_url: str | None, mode: str) -> None:
    """From now on the stand-in is `silent` (takes connections, answers nothing), `busy` (the same while it
    computes), `mute` (answers health, generates nothing), `failing` (answers health, generation is an error)
    or `broken` (health is an error)."""
    assert base_url is not None
    with await asyncio.to_thread(urllib.request.urlopen, f"{base_url}/become/{mode}", timeout=5) as answer:
        assert answer.status == 200


async def wait_gone(process: psutil.Process, within_s: float) -> None:
    """Until it runs no more. Its entry may still wait for the machine's init to take it away."""
    with contextlib.suppress(psutil.NoSuchProcess):
        async with asyncio.timeout(within_s):
            while process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110  (nobody tells a stranger)
                await asyncio.sleep(0.005)

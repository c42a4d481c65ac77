"""Who is measured, how each is started, and when it is ready: Freehold, its peers, and nothing at all.

Peers run in their documented production settings, one process, access logs off, with what only costs them
switched off (prompt trees, remote price lists), so that a doubt is in their favour.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import SCENARIOS, Target, request_bytes
from benchmarks.machine import Pinned, Usage, free_port
from benchmarks.native import Unusable

MODEL = "bench-model"
ALIAS = "fast"
VLLM_ROUTER = "vllm-router==0.1.17"
LITELLM = "litellm[proxy]==1.106.2"
_NO_KEY = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
"""Like Freehold on loopback; checking a key would only cost it."""
PEERS = Path(__file__).parent.parent / ".bench"


class Missing(Exception):
    """A target that cannot run here; the text says why and what to do."""


@dataclass(frozen=True)
class Launch:
    """How a target is started, once its files lie in its folder."""

    argv: list[str]
    model: str = MODEL
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    ready_s: float = 30.0
    """Longest wait for its first answer."""
    home: Path | None = None
    """Freehold's state folder."""


class Started(NamedTuple):
    """A target that we started and that answers."""

    target: Target
    process: Pinned
    start_s: float
    """From the start of the process to its first answered call."""


# ---- how each is started ----


def nginx(port: int, upstream: int, folder: Path) -> Launch:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Missing("nginx is not installed (Debian: apt-get install nginx-light)")
    temp = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"""{user} worker_processes 1; daemon off; pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; {temp}
  keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 64m; client_body_buffer_size 1m;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
""")
    return Launch([program, "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"])


def freehold(port: int, upstream: int, folder: Path) -> Launch:
    program = Path(sys.executable).parent / "freehold"
    if not program.exists():
        raise Missing(f"freehold is not installed beside {Path(sys.executable).name}")
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    config = folder / "freehold.yaml"
    config.write_text(f"""listen: 127.0.0.1:{port}
providers:
  bench: {{dialect: openai, base_url: "http://127.0.0.1:{upstream}/v1", models: ["{MODEL}"]}}
models: {{{ALIAS}: [bench/{MODEL}]}}
""")
    return Launch(
        [str(program), "up", "--config", str(config), "--no-discover"],
        model=ALIAS,
        env={"FREEHOLD_HOME": str(home)},
        home=home,
    )


def vllm_router(port: int, upstream: int, folder: Path) -> Launch:
    program = peer_program("vllm-router", VLLM_ROUTER)
    return Launch(
        f"{program} --host 127.0.0.1 --port {port} --prometheus-port {free_port()} --log-level error "
        f"--worker-urls http://127.0.0.1:{upstream} --policy round_robin "
        "--rate-limit-tokens-per-second 1000000 --worker-startup-check-interval 1".split(),
    )


def litellm(port: int, upstream: int, folder: Path) -> Launch:
    program = peer_program("litellm", LITELLM)
    config = folder / "litellm.yaml"
    config.write_text(f"""model_list:
  - model_name: {ALIAS}
    litellm_params: {{model: openai/{MODEL}, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-bench}}
litellm_settings: {{set_verbose: false, telemetry: false, request_timeout: 600}}
""")
    return Launch(
        [
            str(program),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ],
        model=ALIAS,
        env={"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        | _NO_KEY,
        ready_s=120.0,
    )


LAUNCHERS: dict[str, Callable[[int, int, Path], Launch]] = {
    "nginx": nginx,
    "freehold": freehold,
    "vllm-router": vllm_router,
    "litellm": litellm,
}


def peer_program(program: str, requirement: str) -> Path:
    """The program of a package from the index, in an environment of its own; made when missing."""
    home = PEERS / program
    made, path = home / f".{requirement.replace('[', '-').replace(']', '')}", home / "bin" / program
    if made.exists() and path.exists():
        return path
    print(f"  installing {requirement} into .bench/{program} (once) ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    for argv in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin" / "pip"), "install", "-q", requirement],
    ):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
        except subprocess.TimeoutExpired:
            raise Missing(f"installing {requirement} took more than 15 minutes") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Missing(f"{requirement} could not be installed: {reason}")
    made.touch()
    return path


# ---- starting, and knowing when it answers ----


def start(name: str, *, upstream: int, folder: Path, core: int, realtime: bool = False) -> Started:
    """The target `name`, on `core`, with its files in `folder`, once it has answered a call.

    Raises `Missing` when it cannot run here, `Unusable` when it starts and then does not answer.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    launch = LAUNCHERS[name](port, upstream, folder)
    began = time.monotonic()
    process = Pinned(launch.argv, core, realtime=realtime, env=launch.env, log=folder / "log")
    usage = Usage(process.popen.pid)
    while not answers(port, launch.model):
        waited_s = time.monotonic() - began
        ended = process.popen.poll()
        if ended is not None or waited_s > launch.ready_s:
            process.stop()
            state = "did not answer" if ended is None else f"ended with {ended}"
            raise Unusable(
                f"{name} {state} after {waited_s:.1f} s; its last lines:\n{process.last_lines(12)}"
            )
        time.sleep(0.002)
    start_s = time.monotonic() - began
    ledger = FreeholdLedger(launch.home) if launch.home else None
    return Started(Target(name, port, launch.model, usage, ledger), process, start_s)


def answers(port: int, model: str) -> bool:
    """Whether one call to the model comes back whole."""
    head, _, body = request_bytes(SCENARIOS["chat1"], model, port).partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode().splitlines()[1:]]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/chat/completions", body, dict(pairs))
        reply = connection.getresponse()
        return reply.status == 200 and b"every microsecond" in reply.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class FreeholdLedger:
    """Counts receipts from outside: as far as the SQLite projection has followed the log."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._db: sqlite3.Connection | None = None

    def stored(self) -> int:
        if self._db is None:
            self._db = self._open()
        return int(self._db.execute("SELECT position FROM progress").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        for path in (p for end in ("*.sqlite", "*.sqlite3", "*.db") for p in self._home.rglob(end)):
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'progress'").fetchone():
                return db
            db.close()
        raise Unusable("Freehold's home holds no receipts database: its receipts cannot be counted.")

"""Freehold as people run it: a process of its own, a file, a home folder, and stand-ins behind it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml

from freehold.receipts.entries import Receipt, decode_receipt
from freehold.testing.standin import Standin
from tests.wire import ClosedError, Wire

READY_S = 30.0
STOP_S = 15.0
MODELS = tuple(f"m{number}" for number in range(160))
"""Model ids that every stand-in has; a test takes its own, so that no circuit breaker is shared."""

CLIENT_KEY = "fh-client-key-0123456789"
ALPHA_KEY = "sk-alpha-secret-0123456789"
BETA_KEY = "sk-beta-secret-0123456789"
CLAUDE_KEY = "sk-claude-secret-0123456789"


class House:
    """One running Freehold. `config` is what the YAML file says, without `listen`."""

    def __init__(self, folder: Path, config: dict[str, Any], *, limits: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = 0
        self._config = folder / "freehold.yaml"
        self._limits = limits
        self._read = 0
        self.write_config(config)
        self._process = self._start()

    def write_config(self, config: dict[str, Any]) -> None:
        """Exchange the file at once, as editors do; a running Freehold sees it when it reloads."""
        settings = {"listen": "127.0.0.1:0", "discover": False} | config
        part = self._config.with_suffix(".part")
        part.write_text(yaml.safe_dump(settings, allow_unicode=True))
        part.replace(self._config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything the process has printed; the end may be half a character, while it is being written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def wire(self, **kwargs: Any) -> Wire:
        return Wire(self.port, **kwargs)

    def memory_bytes(self) -> int:
        return self.process.memory_info().rss

    def receipts(self) -> list[Receipt]:
        """All receipts in the journal, as the files say at this moment."""
        segments = sorted((self.home / "ledger" / "journal").glob("*.ndjson"))
        whole = [path.read_bytes().rpartition(b"\n")[0] for path in segments]  # the last may be half written
        lines = [line for text in whole for line in text.split(b"\n") if line]
        return [decode_receipt(line) for line in lines if b'"kind":"call"' in line or b'"kind"' not in line]

    def written(self) -> dict[Path, bytes]:
        """Content of every file of its home folder, and of its log. What a running house takes away
        meanwhile (half a tile of the log, when it is whole) is left out."""
        found = {self.folder / "log": self.log.encode()}
        for folder, _, names in os.walk(self.home):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    found[path] = path.read_bytes()
        return found

    def new_receipts(self) -> list[Receipt]:
        """Those since the last asking."""
        found = self.receipts()[self._read :]
        self._read += len(found)
        return found

    def receipt(self) -> Receipt:
        """The one new receipt. There must be exactly one."""
        (found,) = self.new_receipts()
        return found

    def wait_receipts(self, count: int) -> list[Receipt]:
        """New receipts of calls whose end a client cannot see (it left): polls the journal."""
        found: list[Receipt] = []
        deadline = time.monotonic() + STOP_S
        while len(found) < count:
            found += self.new_receipts()
            assert time.monotonic() < deadline, f"{count} receipts expected, {len(found)} came"
            time.sleep(0.005)
        return found

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait(STOP_S)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.ask_to_stop()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
            raise

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def restart(self) -> None:
        """Start again with the same file and home."""
        self._process = self._start()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A `freehold` command beside the running one, on the same home."""
        return subprocess.run(
            [sys.executable, "-m", "freehold", *command],
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "freehold", "up", "--config", str(self._config)]
        command += ["--home", str(self.home), "--no-discover", "--json"]
        if self._limits is not None:
            command += ["--limits", json.dumps(self._limits)]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_ready(process)
        return process

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))
        }
        return kept | {"HOME": str(self.folder), "FREEHOLD_HOME": str(self.home), "PYTHONWARNINGS": "default"}

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_S
        while not (self._announced(process.pid) and self._healthy()):
            assert process.poll() is None, f"freehold up ended with {process.returncode}:\n{self.log}"
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise AssertionError(f"freehold up is not ready after {READY_S} s:\n{self.log}")
            time.sleep(0.02)

    def _announced(self, pid: int) -> bool:
        """Whether this process (not one before it) has said at which port it listens."""
        try:
            note = json.loads((self.home / "run.json").read_bytes())
        except FileNotFoundError:
            return False
        self.port = urlsplit(note["url"]).port or 0
        return note["pid"] == pid

    def _healthy(self) -> bool:
        try:
            with self.wire() as wire:
                return wire.call("/health").status == 200
        except (OSError, ClosedError):
            return False


def provider(upstream: Standin, dialect: str = "openai", **settings: Any) -> dict[str, Any]:
    """The configuration of a provider that is a stand-in."""
    base_url = upstream.url if dialect == "anthropic" else upstream.url + "/v1"
    return {"dialect": dialect, "base_url": base_url, "models": list(upstream.models)} | settings


class Town:
    """A house and the stand-ins around it.

    `alpha` speaks OpenAI with responses, `beta` OpenAI without responses, `claude` Anthropic. Model ids
    are shared by name: `alpha/m0`, `beta/m0`, `claude/m0`; the aliases `smart-m0` try alpha, then beta,
    `cross-m0` claude, then alpha, and `only-alpha-id`, ... are ids that one place has.
    """

    def __init__(self, folder: Path, standins: Sequence[Standin], **house: Any) -> None:
        self.alpha, self.beta, self.claude = standins
        self.house = House(folder, town_config(*standins), **house)
        self._models = iter(MODELS)

    def model(self) -> str:
        """A model id that no other test uses."""
        return next(self._models)

    def reset(self) -> None:
        for upstream in (self.alpha, self.beta, self.claude):
            upstream.reset()
        self.house.new_receipts()


def town_config(alpha: Standin, beta: Standin, claude: Standin) -> dict[str, Any]:
    smart = {f"smart-{model}": [f"alpha/{model}", f"beta/{model}"] for model in MODELS}
    cross = {f"cross-{model}": [f"claude/{model}", f"alpha/{model}"] for model in MODELS}
    return {
        "providers": {
            "alpha": provider(alpha, api_key=ALPHA_KEY, responses=True),
            "beta": provider(beta, api_key=BETA_KEY, responses=False, headers={"x-team": "blue"}),
            "claude": provider(claude, "anthropic", api_key=CLAUDE_KEY),
        },
        "models": smart | cross,
    }


def town_standins() -> tuple[Standin, Standin, Standin]:
    return tuple(Standin((*MODELS, f"only-{name}-id")) for name in ("alpha", "beta", "claude"))

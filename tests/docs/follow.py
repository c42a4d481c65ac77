"""A reader who does what a page says: a folder, a Freehold of their own, and one block after another."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from freehold.adapters.providers.catalog import build_catalog, configured_servers
from freehold.adapters.providers.discover import Discovery
from freehold.app.telemetry_rest import is_left
from freehold.core.config_file import load_config
from freehold.core.progress import RUN_FILE
from freehold.costs.snapshot import TABLES
from freehold.receipts.spool import waiting
from freehold.web.control import StatusView
from tests.docs.pages import ROOT, Block
from tests.wire import Wire, free_port

PORT = "8400"
STATE = "~/.local/state/freehold"
START_S, COMMAND_S = 60.0, 120.0
AGENTS = ROOT / ".compat" / "npm" / "node_modules" / ".bin"

_MARK = "\x1e"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Reader:
    """One page's reader. Where the page says 8400, a free port is meant; secrets are made up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".local" / "state" / "freehold"
        self._port = str(free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self._secrets: dict[str, str] = {}
        """What the page's configurations take from the environment."""

    # -- Freehold

    def start(self, config: str = "") -> None:
        """`make up`, as the README says it; without making an environment, and without looking around.

        A reader's first call comes when the price table is there, which is made beside the first calls.
        """
        options = f"--listen 127.0.0.1:{self._port} --no-discover"
        if config:
            self._write_config(config)
            options += f" --config {self.folder / 'freehold.yaml'}"
        command = ["make", "-s", "-C", str(ROOT), "-o", ".venv/.made-for-running", "up", f"ARGS={options}"]
        with (self.folder / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while "Freehold is ready." not in self.log or not any((self.home / "prices").glob(TABLES)):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    @property
    def log(self) -> str:
        # The end may be half a character, while it is being written.
        return (self.folder / "up.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Ctrl-C."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            raise

    def published(self) -> None:
        """Receipts are signed within a second, and what programs told of calls and hooks of tools is in the
        ledger within a few; a reader is slower than that, a test is not."""
        if not (self.home / RUN_FILE).exists():
            return
        deadline = time.monotonic() + START_S
        while True:
            coming = waiting(self.home) or is_left(self.home)  # asked first: it goes from there to the ledger
            with Wire(int(self._port)) as wire:
                ledger = msgspec.json.decode(wire.call("/api/v1/status").body, type=StatusView).ledger
            if not coming and ledger.entries == ledger.signed == ledger.projected:
                return
            assert time.monotonic() < deadline, (coming, ledger)
            time.sleep(0.02)

    # -- blocks

    def follow(self, block: Block) -> None:
        """Do what a block says. Raises AssertionError when it does not work."""
        text = block.text.replace(PORT, self._port)
        getattr(self, f"_{block.language}")(text)

    def _text(self, text: str) -> None:
        """Only to be read; but what Freehold says when it is ready, it must have said."""
        if text.startswith("Freehold is ready."):
            self._same_shape("make up", text.replace(self._port, PORT), self.log)

    def _sh(self, text: str) -> None:
        self.published()
        text = re.sub(
            r"^make ", f"make -n -C {ROOT} ", text, flags=re.M
        )  # that there is such a thing to make
        done = self._bash(f"set -euo pipefail\n{text}")
        assert done.returncode == 0, f"exit {done.returncode}:\n{done.stdout}"

    def _python(self, text: str) -> None:
        self.published()
        done = self._run([sys.executable, "-W", "error", "-c", text])
        assert done.returncode == 0, done.stdout

    def _yaml(self, text: str) -> None:
        self._write_config(text)
        self._secrets |= {name: f"sk-made-up-{name.lower()}" for name in _VARIABLE.findall(text)}
        loaded = load_config(None, self._secrets | {"HOME": str(self.folder)}, self.folder)
        assert loaded.file, "the page's file was not found"
        servers = configured_servers(loaded.config, self.folder, {"HOME": str(self.folder)})
        build_catalog(loaded.config, Discovery(), servers)

    def _console(self, text: str) -> None:
        """Commands and outputs; a command may fail only when `echo $?` follows it and says so."""
        self.published()
        steps = [part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.M)[1:]]
        script = "".join(
            f"{command}\nx=$?; printf '{_MARK}'$x'{_MARK}'; (exit $x)\n" for command, _, _ in steps
        )
        done = self._bash(script)
        told = done.stdout.split(_MARK)
        for number, (command, _, expected) in enumerate(steps):
            said, status = told[2 * number], told[2 * number + 1]
            following = steps[number + 1][0] if number + 1 < len(steps) else ""
            assert status == "0" or following == "echo $?", f"{command}: exit {status}:\n{said}"
            if command == "echo $?":
                assert said.strip() == expected.strip(), f"after {steps[number - 1][0]}: exit {said}"
            else:
                self._same_shape(command, expected, said)

    def _same_shape(self, command: str, expected: str, said: str) -> None:
        real = iter([shape(line) for line in self._as_on_a_page(said).splitlines()])
        for line in expected.splitlines():
            if line.strip() and line.strip() not in ("...", "…"):
                assert shape(line) in real, f"{command}: {line!r} is not, or not there, in:\n{said}"

    def _as_on_a_page(self, said: str) -> str:
        said = said.replace(str(self.home), STATE).replace(str(self.folder), "~")
        return said.replace(self._port, PORT)

    # -- programs

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return self._run(["bash", "-c", script])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
        programs = [str(Path(sys.executable).parent), str(AGENTS), os.environ["PATH"]]
        # The state folder is where it is for everybody: under the reader's own HOME.
        own = {"PATH": ":".join(programs), "HOME": str(self.folder), "COLUMNS": "100"}
        return kept | own | self._secrets

    def _write_config(self, text: str) -> None:
        (self.folder / "freehold.yaml").write_text(text)


def shape(line: str) -> str:
    """A line with everything that differs from one time to the next made equal."""
    line = re.sub(r"\+[A-Za-z0-9+/=]{30,}", "+KEY", line)
    line = re.sub(r"\b(r?[0-9a-f]{8,}(-[0-9a-f]+)*|[0-9a-f]{64})\b", "HEX", line)
    line = re.sub(r"\d[\d.,:-]*", "0", line)
    line = re.sub(r"\b0 (µs|ms|s|min|h)\b", "0 t", line)
    return " ".join(line.split())


def agent_of(block: Block) -> str | None:
    """The coding agent that a block runs, if it does: those run with the foreign programs."""
    found = re.search(r"(?:^|\s)(claude|codex) (?:-|exec)", block.text)
    return found[1] if found and block.language == "sh" else None


def is_fetched(agent: str) -> bool:
    """Whether the agent lies where `make compat` puts it."""
    return shutil.which(agent, path=str(AGENTS)) is not None

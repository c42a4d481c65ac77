"""Coding agents started as their users start them, in a folder and a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.compat import programs

TURN_S = 180.0


class Turn(msgspec.Struct, frozen=True):
    """What an agent printed: one JSON object per line, and whatever else."""

    status: int
    events: list[dict[str, Any]]
    errors: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("type") == kind]


class Agents:
    """Agents that use the Freehold at `url`; `folder` holds their home and the folder they work in."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url

    def claude(self, model: str, prompt: str, *options: str) -> Turn:
        """A turn of Claude Code as `claude -p` runs it. Skips the test when it is not fetched."""
        flags = ("--model", model, "--output-format", "stream-json", "--verbose", *options)
        settings = {
            "ANTHROPIC_BASE_URL": self._url,
            "ANTHROPIC_AUTH_TOKEN": "unused",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        return self._run(_fetched("claude"), "-p", prompt, *flags, **settings)

    def codex(self, model: str, *arguments: str) -> Turn:
        """A turn of Codex as `codex exec` runs it. Skips the test when it is not fetched."""
        place = f'{{name="Freehold",base_url="{self._url}/v1",wire_api="responses",env_key="FREEHOLD_KEY"}}'
        configured = {"model_provider": "freehold", "model": model, "model_providers.freehold": place}
        flags = [part for name, value in configured.items() for part in ("-c", f"{name}={value}")]
        command = (_fetched("codex"), "exec", "--skip-git-repo-check", "--json", *flags, *arguments)
        return self._run(*command, FREEHOLD_KEY="unused")

    def _run(self, *command: str, **settings: str) -> Turn:
        """Of our environment the agent sees the path only."""
        work, home = self._folder / "work", self._folder / "home"
        work.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM", "SHELL") if name in os.environ}
        done = subprocess.run(
            command,
            cwd=work,
            env=kept | {"HOME": str(home)} | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TURN_S,
            check=False,
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Turn(status=done.returncode, events=events, errors=done.stderr)


def _fetched(name: str) -> str:
    found = programs.program(name)
    if found is None:
        pytest.skip(f"{name} is not fetched: make compat")
    return str(found)

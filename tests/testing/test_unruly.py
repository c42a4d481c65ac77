"""The unruly server behaves well until it is told not to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from freehold.supervisor.process import free_port

PROGRAM = (sys.executable, "-m", "freehold.testing.unruly")


@contextmanager
def unruly(*flags: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process, once it listens."""
    port = free_port()
    command = (*PROGRAM, "--port", str(port), *flags)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"model loaded" in line:
                break
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


def ask(url: str, value: object = None) -> bytes:
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        data: bytes = answer.read()
    return data


def test_it_answers_as_a_model_server_does_and_ends_when_asked() -> None:
    with unruly("--tokens", "3") as (url, process):
        assert json.loads(ask(f"{url}/health")) == {"status": "ok"}
        chat = json.loads(ask(f"{url}/v1/chat/completions", {"messages": []}))
        assert chat["choices"][0]["message"]["content"] == "word0 word1 word2 "
        events = ask(f"{url}/v1/chat/completions", {"messages": [], "stream": True}).split(b"\n\n")
        assert len(events) == 6 and events[-2] == b"data: [DONE]"
        assert json.loads(ask(f"{url}/completion", {"prompt": "x"}))["content"] == "word"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(f"{url}/nothing")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_it_dies_at_the_moment_and_in_the_way_it_was_told() -> None:
    with unruly("--die-after", "2-calls", "--how", "segfault") as (url, process):
        ask(f"{url}/completion", {"prompt": "x"})
        assert process.poll() is None
        ask(f"{url}/completion", {"prompt": "x"})
        assert process.wait(5) == -signal.SIGSEGV


def test_a_way_or_moment_that_is_not_known_is_refused() -> None:
    run = subprocess.run([*PROGRAM, "--die-after", "lunch"], capture_output=True, check=False)
    assert run.returncode == 2 and b"no moment to die at" in run.stderr
    run = subprocess.run([*PROGRAM, "--die-after", "start", "--how", "x"], capture_output=True, check=False)
    assert run.returncode == 1 and b"no way to die" in run.stderr

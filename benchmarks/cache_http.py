"""What a kept answer takes over HTTP, beside the shortest thing that the gateway can say: that it knows no
such model. The refusals come from a Freehold without a cache; both are asked in turns of a hundred calls, so
that the machine's mood is the same for both.

With half a millisecond between calls both are as they are in traffic. Without it, receipts come faster than
the database can follow on a small machine, and what is measured is whether its thread is at work just then.
"""

from __future__ import annotations

import json
import socket
import statistics
import tempfile
import time
from pathlib import Path

from freehold.testing.standin import Standin
from tests.house import House, provider

ROUNDS, TURN = 40, 100
REPLACED_S = 1.5
REST_S = 0.0005
"""Between one answer and the next call."""


def request(body: bytes) -> bytes:
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def body(model: str, kilobytes: int, *, stream: bool) -> bytes:
    line = 'The log says "connection reset" again;\nso what is the next step?\n'
    asked = {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": (line * (16 * kilobytes))[: 1000 * kilobytes]}],
    }
    return json.dumps(asked, separators=(",", ":")).encode()


class Line:
    """One connection that is kept. `ask` gives the microseconds until the answer was there whole."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, sent: bytes) -> tuple[float, bytes]:
        begun = time.perf_counter_ns()
        self._socket.sendall(sent)
        found = self._socket.recv(1 << 20)
        while not _whole(found):
            found += self._socket.recv(1 << 20)
        return (time.perf_counter_ns() - begun) / 1000, found

    def close(self) -> None:
        self._socket.close()


def _whole(found: bytes) -> bool:
    head, end, rest = found.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in head:
        return rest.endswith(b"0\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return len(rest) >= length


def medians(ways: dict[str, tuple[Line, bytes]], rest_s: float) -> dict[str, float]:
    """p50 in microseconds of each request, asked in turns with so much time between calls."""
    for line, sent in ways.values():  # the first answers are kept
        line.ask(sent)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (line, sent) in ways.items():
            for _ in range(TURN):
                times[name].append(line.ask(sent)[0])
                _rest(rest_s)
    for name, (line, sent) in ways.items():
        hit = b"x-freehold-cache: hit" in line.ask(sent)[1]
        assert hit == name.startswith("hit"), name
    return {name: statistics.median(found[2 * TURN :]) for name, found in times.items()}


def _rest(rest_s: float) -> None:
    """Busy, so that this side of the connection does not fall asleep."""
    until = time.perf_counter() + rest_s
    while time.perf_counter() < until:
        pass


def over_http() -> list[str]:
    """Rows of the table: p50 of hits and of refusals of the same size, and how they compare."""
    rows = [
        "| request | refusal p50 | hit p50 | ratio | without a pause | ratio | against a 1.5 s call |",
        "|---|---|---|---|---|---|---|",
    ]
    with Standin(models=("m0",)) as upstream, tempfile.TemporaryDirectory() as folder:
        places = {"providers": {"alpha": provider(upstream)}}
        (Path(folder) / "bare").mkdir()
        (Path(folder) / "kept").mkdir()
        bare = House(Path(folder) / "bare", places)
        kept = House(Path(folder) / "kept", places | {"cache": {"exact": {}}})
        try:
            for kilobytes in (1, 10, 100):
                for stream in (False, True):
                    rows.append(_row(kilobytes, stream, bare.port, kept.port))
        finally:
            bare.stop()
            kept.stop()
    return rows


def _row(kilobytes: int, stream: bool, bare: int, kept: int) -> str:
    refused, asked = Line(bare), Line(kept)
    ways = {
        "refusal": (refused, request(body("nobody", kilobytes, stream=stream))),
        "hit": (asked, request(body("m0", kilobytes, stream=stream))),
    }
    found, flood = medians(ways, REST_S), medians(ways, 0.0)
    refused.close()
    asked.close()
    cells = (
        f"{kilobytes} KB{', stream' if stream else ''}",
        f"{found['refusal']:.0f} us",
        f"{found['hit']:.0f} us",
        f"{found['hit'] / found['refusal']:.2f} x",
        f"{flood['refusal']:.0f}, {flood['hit']:.0f} us",
        f"{flood['hit'] / flood['refusal']:.2f} x",
        f"{REPLACED_S * 1e6 / found['hit']:,.0f} x faster",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(over_http()))

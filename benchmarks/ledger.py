"""The ledger alone: `python -m benchmarks ledger [--entries N] [--seconds S]`.

Measures an append, publishing beside a busy event loop (does it keep up, does it stall the loop), a rebuild,
a verification and the cost question over many receipts. Prints a table; writes only to a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

from freehold.core.clock import SystemClock
from freehold.core.usage import Usage
from freehold.receipts.entries import Attempt, Receipt, encode_receipt
from freehold.receipts.journal import JournalWriter
from freehold.receipts.keys import load_or_create
from freehold.receipts.ledger import Ledger
from freehold.receipts.log_folder import LogFolder
from freehold.receipts.log_tree import LogTree
from freehold.receipts.query import costs, open_readonly
from freehold.receipts.rebuild import rebuild
from freehold.receipts.verify import verify

START_MS = 1_790_000_000_000
RATE = 20_000
"""Receipts a second in the busy-loop runs."""

TEMPLATE = Receipt(
    id="",
    agent="coder",
    attempts=(Attempt(deployment="openai/gpt", status=200, first_byte_us=120_000, total_us=900_000),),
    client_dialect="openai.chat",
    cost_nanos=1_234_567,
    cost_state="computed",
    deployment="openai/gpt",
    endpoint="/v1/chat/completions",
    first_byte_us=120_100,
    model="gpt",
    model_asked="auto",
    outcome="ok",
    price_snapshot="ef" * 32,
    provider="openai",
    request_bytes=888,
    request_commitment="ab" * 32,
    response_bytes=507,
    response_commitment="cd" * 32,
    route="the only candidate",
    started_ms=START_MS,
    status=200,
    total_us=900_100,
    upstream_dialect="openai.chat",
    usage=Usage(fresh_in=100, visible_out=50, cache_read=1_000),
    usage_raw='{"prompt_tokens":1100,"completion_tokens":50,"total_tokens":1150}',
    usage_state="reported",
    via_key="dev",
)


def receipts(count: int) -> Iterator[Receipt]:
    """A month of a busy home: 20 projects, a session of 50 calls each, times spread evenly."""
    step_ms = max(1, 30 * 86_400_000 // max(count, 1))
    for number in range(count):
        yield msgspec.structs.replace(
            TEMPLATE,
            id=f"rc_{number * 2654435761 % 2**32:08x}{number:012x}",
            project=f"project{number // 50 % 20}",
            session=f"session{number // 50}",
            task=f"task{number // 200}",
            started_ms=START_MS + number * step_ms,
        )


def measured(action: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def append_us(folder: Path, count: int) -> tuple[float, float]:
    """(CPU us, wall us) of `Ledger.append`, publisher idle: in bursts shorter than its polling interval."""
    made = list(receipts(1_000))
    cpu: list[float] = []
    wall: list[float] = []
    with Ledger.open(folder, clock=SystemClock()) as ledger:
        for _ in range(count // len(made)):
            while ledger.health().lag:
                time.sleep(0.01)
            cpu_start, start = time.thread_time(), time.perf_counter()
            for receipt in made:
                ledger.append(receipt)
            wall.append((time.perf_counter() - start) / len(made) * 1e6)
            cpu.append((time.thread_time() - cpu_start) / len(made) * 1e6)
    return statistics.median(cpu), statistics.median(wall)


class BusyLoop:
    """An event loop that does about 20 us of Python and two system calls a turn, and may append receipts."""

    def __init__(self, ledger: Ledger | None, seconds: float, rate: float) -> None:
        self._ledger, self._seconds, self._rate = ledger, seconds, rate
        self._made = list(receipts(5_000))
        self._read, self._write = os.pipe()
        self.turns = 0
        self.work_us: list[float] = []

    async def run(self) -> None:
        """Turns until the time is over; `rate` 0 means as many as possible."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        begin = time.perf_counter()

        def turn() -> None:
            now = time.perf_counter()
            if now - begin >= self._seconds:
                done.set_result(None)
                return
            due = int((now - begin) * self._rate) - self.turns if self._rate else 1
            for _ in range(min(due, 32)):
                start = time.perf_counter()
                self._work()
                self.work_us.append((time.perf_counter() - start) * 1e6)
            loop.call_soon(turn)

        loop.call_soon(turn)
        await done
        os.close(self._read)
        os.close(self._write)

    def _work(self) -> None:
        sum(number * number for number in range(150))
        os.write(self._write, b"x")
        os.read(self._read, 1)
        if self._ledger:
            self._ledger.append(self._made[self.turns % len(self._made)])
        self.turns += 1


def busy(folder: Path, seconds: float, rate: float, *, publish: bool) -> list[str]:
    """One row of the busy-loop table."""
    name = f"{rate or 'unbounded'}/s, {'with ledger' if publish else 'loop alone'}"
    if not publish:
        alone = BusyLoop(None, seconds, rate)
        uvloop.run(alone.run())
        return [name, f"{alone.turns / seconds:,.0f}", *_spread(alone.work_us), "-", "-", "-"]
    with Ledger.open(folder, clock=SystemClock()) as ledger:
        load = BusyLoop(ledger, seconds, rate)
        cpu, own = time.process_time(), time.thread_time()
        uvloop.run(load.run())
        lag = ledger.health().lag
        drained = measured(lambda: _wait_for(ledger))
        publisher_us = (time.process_time() - cpu - (time.thread_time() - own)) / max(load.turns, 1) * 1e6
    row = [name, f"{load.turns / seconds:,.0f}", *_spread(load.work_us)]
    return [*row, f"{lag:,}", f"{drained:.2f}", f"{publisher_us:.1f}"]


def _wait_for(ledger: Ledger) -> None:
    while ledger.health().lag:
        time.sleep(0.005)


def _spread(times_us: list[float]) -> list[str]:
    times = sorted(times_us)
    return [f"{times[int(len(times) * share)]:.0f}" for share in (0.5, 0.99, 0.999)] + [f"{times[-1]:.0f}"]


def large(folder: Path, count: int) -> list[tuple[str, str]]:
    """Rebuild, verification and questions over `count` receipts."""
    journal = JournalWriter(folder / "ledger")
    for receipt in receipts(count):
        journal.append([encode_receipt(receipt) + b"\n"])
    journal.close()
    tree = LogTree(LogFolder(folder / "ledger"), load_or_create(folder).signer)
    hashing_s = measured(lambda: _extend(tree))
    tree.close()
    rebuild_s = measured(lambda: rebuild(folder))
    report_s = measured(lambda: verify(folder))
    rows = [
        (f"tiles and a checkpoint over {count:,}", f"{hashing_s:.1f} s"),
        (f"rebuild of {count:,} receipts", f"{rebuild_s:.1f} s"),
        (f"verify {count:,} receipts", f"{report_s:.1f} s"),
    ]
    with open_readonly(folder) as db:
        for by in ("project", "session", "day"):
            times = [measured(lambda by=by: costs(db, by)) for _ in range(5)]
            rows.append((f"costs by {by} over {count:,}", f"{statistics.median(times) * 1e3:.1f} ms"))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    rows.append(("disk per receipt (log before sealing, and database)", f"{size / count:,.0f} B"))
    return rows


def _extend(tree: LogTree) -> None:
    while tree.extend(4_096):
        pass
    tree.sign()


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        cpu_us, wall_us = append_us(base / "append", 20_000)
        print(f"append: {cpu_us:.2f} us CPU, {wall_us:.2f} us wall\n")
        rows = [
            busy(base / f"busy{number}", options.seconds, rate, publish=publish)
            for number, (rate, publish) in enumerate(
                [(300, False), (300, True), (RATE, False), (RATE, True), (0, False), (0, True)]
            )
        ]
        head = [
            "busy loop",
            "turns/s",
            "piece of work p50 us",
            "p99",
            "p99.9",
            "max",
            "lag at end",
            "drained after s",
        ]
        print(table([*head, "publisher CPU us/receipt"], rows), "\n")
        if options.entries:
            found = large(base / "large", options.entries)
            print(table(["over many receipts", ""], [list(row) for row in found]))


if __name__ == "__main__":
    main()

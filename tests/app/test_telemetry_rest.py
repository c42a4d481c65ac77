"""What rests on the disk: a disk that takes half a line, and an exporter that does not wait for it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from freehold.app import telemetry as telemetry_module
from freehold.app.telemetry_rest import Kept, RestLog, is_left, lines_of
from freehold.core.observed import Observed
from tests.adapters.telemetry import export
from tests.adapters.telemetry.export import PROTOBUF, call_span, of
from tests.app.telling import CALL, Desk


def line(model: str) -> bytes:
    return lines_of(Kept((Observed(kind="call", model=model, started_ms=1, usage_raw="{}"),)))


def test_half_a_line_on_a_full_disk_does_not_spoil_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RestLog(tmp_path)
    write = os.write

    def torn(handle: int, data: bytes) -> int:
        if len(data) <= 40:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(handle, data[:-40])

    with monkeypatch.context() as full:
        full.setattr(os, "write", torn)
        with pytest.raises(OSError, match="no space"):
            log.keep(line("torn"))
    log.keep(line("whole"))
    log.close()
    kept = [seen.model for _, each in RestLog(tmp_path).left() for seen in each.observed]
    assert kept == ["whole"]


async def test_what_an_exporter_told_that_left_while_it_was_written_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    written, go_on = threading.Event(), threading.Event()
    keep = RestLog.keep

    def slow(self: RestLog, line: bytes) -> int:
        number = keep(self, line)
        written.set()
        go_on.wait(60)
        return number

    monkeypatch.setattr(RestLog, "keep", slow)
    monkeypatch.setattr(telemetry_module, "_WRITE_AT_ONCE_BYTES", 0)
    body = export.protobuf(of("traces", call_span(CALL)))
    telling = asyncio.create_task(desk.telemetry.receive("traces", body, PROTOBUF, ""))
    await asyncio.to_thread(written.wait, 60)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    go_on.set()
    async with asyncio.timeout(5):
        while is_left(tmp_path):
            await desk.telemetry.settle()
            await asyncio.sleep(0)
    assert [receipt.kind for _, receipt in desk.ledger.tail(0)] == ["call"]
    desk.close()

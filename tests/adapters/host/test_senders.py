"""Who sent a signal: recorded traces. The kernel's own is asked in `test_witness`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.senders import condition, parse_trace
from freehold.adapters.host.tracefs import start_ticks, sweep
from freehold.core.deaths import SignalSeen

HEADER = """# tracer: nop
#
# entries-in-buffer/entries-written: 5/5   #P:2
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""


def event(sender: str, at: str, signal: int, code: int, target: str) -> str:
    sent = f"signal_generate: sig={signal} errno=0 code={code} comm={target} grp=1 res=0"
    return f"{sender:>24}       [001] d..1. {at}: {sent}\n"


TRACE = (
    HEADER
    + event("kill-6384", "12585.556132", 1, 0, "sleep pid=71")
    + event("my-app (old) x-41", "12586.000001", 15, 0, "a pid=9 b pid=71")
    + event("llama-server-88      (     71)", "12587.900000", 6, -6, "llama-server pid=71")
    + event("<...>-3", "12590.000000", 9, 128, "sleep pid=71")
    + event("llama-server-89      (     71)", "12590.500000", 11, 1, "llama-server pid=89")
    + event("llama-server-90      (    712)", "12590.600000", 11, 1, "llama-server pid=90")
    + event("kill-6390", "12591.000000", 9, 0, "other pid=712")
)


def test_each_line_names_its_sender() -> None:
    assert parse_trace(TRACE, 71, offset_ms=1_000_000) == [
        SignalSeen(at_ms=13_585_556, signal=1, sender_pid=6384, sender_comm="kill"),
        SignalSeen(at_ms=13_586_000, signal=15, sender_pid=41, sender_comm="my-app (old) x"),
        SignalSeen(at_ms=13_587_900, signal=6, sender_pid=71, sender_comm="llama-server"),
        SignalSeen(at_ms=13_590_000, signal=9, sender_pid=3, sender_comm="", from_kernel=True),
        SignalSeen(at_ms=13_590_500, signal=11, sender_pid=71, sender_comm="llama-server", from_kernel=True),
    ]


@given(st.text())
def test_strange_text_is_read_without_harm(text: str) -> None:
    parse_trace(text, 71, 0)


def test_the_filter_asks_for_deadly_signals_to_watched_processes_only() -> None:
    both = condition({71, 9})
    assert both.startswith("(sig==1||sig==2||")
    assert both.endswith("&&(pid==9||pid==71||code>0||(sig==6&&code==-6))")
    assert condition(()) == ""


def test_what_a_killed_freehold_left_is_taken_away(tmp_path: Path) -> None:
    alive = start_ticks(1) or 0
    (tmp_path / f"freehold-1-{alive}-1").mkdir()
    (tmp_path / f"freehold-1-{alive + 1}-1").mkdir()
    (tmp_path / "freehold-4194999-12-3").mkdir()
    (tmp_path / "freehold-mine").mkdir()
    (tmp_path / "other").mkdir()
    sweep(tmp_path)
    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {f"freehold-1-{alive}-1", "freehold-mine", "other"}


@pytest.mark.parametrize("pid", [2**22 + 1, 2**31])
def test_nobody_has_no_start(pid: int) -> None:
    assert start_ticks(pid) is None

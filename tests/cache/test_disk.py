"""Answers on disk: they come back after a restart, keep their time, and stay within their room."""

from __future__ import annotations

import queue
import stat
import time
from collections.abc import Callable
from pathlib import Path

from freehold.cache.answers import Answers, Hit, Ticket
from freehold.cache.disk import AnswerDisk
from freehold.cache.stored import Stored, pack, unpack
from freehold.core.config_cache import CacheConfig, ExactCacheConfig
from tests.cache.asking import SALT, ask, chat, chat_answer, said


class Loop:
    """Runs what the thread delivers, when the test says so."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def deliver(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def run_one(self) -> None:
        self._calls.get(timeout=10)()


NOW_MS = time.time_ns() // 1_000_000


def stored(body: bytes = b"{}", lives_ms: int = 86_400_000) -> Stored:
    return Stored(
        form="whole",
        status=200,
        headers=((b"content-type", b"application/json"),),
        body=body,
        receipt="01A",
        deployment="d",
        stored_ms=NOW_MS,
        expires_ms=NOW_MS + lives_ms,
    )


def opened(folder: Path, most_bytes: int = 1 << 20) -> tuple[AnswerDisk, Loop]:
    loop = Loop()
    disk = AnswerDisk(folder, most_bytes=most_bytes, deliver=loop.deliver)
    loop.run_one()  # what lies there is known
    return disk, loop


def put(disk: AnswerDisk, loop: Loop, key: bytes, answer: Stored) -> None:
    disk.put(key, answer)
    loop.run_one()


def fetched(disk: AnswerDisk, loop: Loop, key: bytes, now_ms: int = NOW_MS) -> Stored | None:
    got: list[Stored | None] = []
    disk.fetch(key, now_ms, got.append)
    loop.run_one()
    return got[0]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_bytes_come_back_as_they_were() -> None:
    answer = stored(b"\x00\xff{}")
    assert unpack(pack(answer)) == answer
    assert unpack(b"no answer of ours") is None


def test_an_answer_outlives_a_restart(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path / "answers")
    put(disk, loop, b"k1", stored(b"one"))
    disk.close()
    again, loop = opened(tmp_path / "answers")
    with again:
        assert again.has(b"k1")
        assert not again.has(b"k2")
        found = fetched(again, loop, b"k1")
        assert found is not None
        assert found.body == b"one"
        assert again.counts().read == 1


def test_only_this_user_can_read_them(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path / "answers")
    with disk:
        put(disk, loop, b"k1", stored())
    assert stat.S_IMODE((tmp_path / "answers").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)] == [0o600]


def test_what_is_too_old_is_deleted(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path)
    put(disk, loop, b"k1", stored(lives_ms=1))
    put(disk, loop, b"k2", stored())
    assert fetched(disk, loop, b"k1", NOW_MS + 1) is None
    assert not disk.has(b"k1")
    disk.close()
    assert len(files(tmp_path)) == 1


def test_a_start_deletes_what_is_too_old_and_what_was_never_finished(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path)
    put(disk, loop, b"k1", stored(lives_ms=-1000))
    disk.close()
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "abcd.part").write_bytes(b"half")
    (tmp_path / "ab" / "somebody-elses.txt").write_bytes(b"stays")
    again, _ = opened(tmp_path)
    again.close()
    assert [path.name for path in files(tmp_path)] == ["somebody-elses.txt"]


def test_room_is_made_by_the_oldest(tmp_path: Path) -> None:
    size = len(pack(stored(b"x" * 1000)))
    disk, loop = opened(tmp_path, most_bytes=2 * size)
    with disk:
        for key in (b"k1", b"k2", b"k3"):
            put(disk, loop, key, stored(b"x" * 1000))
        assert [disk.has(key) for key in (b"k1", b"k2", b"k3")] == [False, True, True]
        assert disk.counts().bytes <= 2 * size
        disk.put(b"k4", stored(b"x" * 4000))
        assert disk.counts().dropped == 1
    assert len(files(tmp_path)) == 2


def test_a_file_that_is_damaged_is_a_miss(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path)
    with disk:
        put(disk, loop, b"k1", stored())
        files(tmp_path)[0].write_bytes(b"rubbish")
        assert fetched(disk, loop, b"k1") is None
        assert not disk.has(b"k1")


def test_a_folder_that_cannot_be_written_costs_no_call(tmp_path: Path) -> None:
    disk, loop = opened(tmp_path / "answers")
    (tmp_path / "answers" / b"k1".hex()[:2]).write_bytes(b"a file where a folder should be")
    with disk:
        put(disk, loop, b"k1", stored())
        assert disk.counts().dropped == 1
        assert disk.counts().error


def test_a_call_waits_for_the_disk_and_memory_has_it_afterwards(tmp_path: Path) -> None:
    config = CacheConfig(exact=ExactCacheConfig())
    disk, loop = opened(tmp_path)
    first = Answers(config, salt=SALT, disk=disk)
    ticket = first.look(ask(chat()), NOW_MS)
    assert isinstance(ticket, Ticket)
    first.keep(ticket, said(chat_answer()), NOW_MS)
    loop.run_one()
    restarted = Answers(config, salt=SALT, disk=disk)
    waiting = restarted.look(ask(chat()), NOW_MS)
    assert isinstance(waiting, Ticket)
    assert waiting.waits
    got: list[Hit | None] = []
    restarted.wait(waiting, NOW_MS, got.append)
    loop.run_one()
    assert got[0] is not None
    assert got[0].stored.body == chat_answer()
    assert isinstance(restarted.look(ask(chat()), NOW_MS), Hit)
    restarted.clear()
    disk.close()
    assert files(tmp_path) == []


# -- after a restart with another configuration

CALL = {"id": "t", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
PAYS = chat_answer(None, message={"tool_calls": [CALL]}, finish_reason="tool_calls")
HOUR_MS = 3_600_000


def restarted(
    folder: Path, exact: ExactCacheConfig, *before: tuple[ExactCacheConfig, bytes]
) -> tuple[Answers, AnswerDisk, Loop]:
    """A cache on a folder where an earlier one kept an answer, an hour before NOW_MS."""
    disk, loop = opened(folder)
    for earlier, body in before:
        answers = Answers(CacheConfig(exact=earlier), salt=SALT, disk=disk)
        ticket = answers.look(ask(chat()), NOW_MS - HOUR_MS)
        assert isinstance(ticket, Ticket)
        assert answers.keep(ticket, said(body), NOW_MS - HOUR_MS) == ""
        loop.run_one()
    return Answers(CacheConfig(exact=exact), salt=SALT, disk=disk), disk, loop


def looked(answers: Answers, loop: Loop, now_ms: int = NOW_MS) -> Hit | None:
    """What a call gets, waiting for the disk included."""
    found = answers.look(ask(chat()), now_ms)
    if isinstance(found, Hit):
        return found
    assert isinstance(found, Ticket)
    got: list[Hit | None] = []
    if found.waits:
        answers.wait(found, now_ms, got.append)
        loop.run_one()
    return got[0] if got else None


DAYS = ExactCacheConfig(ttl_s=30 * 86_400)


def test_a_shorter_time_holds_for_what_lies_on_disk(tmp_path: Path) -> None:
    answers, disk, loop = restarted(tmp_path, ExactCacheConfig(ttl_s=60), (DAYS, chat_answer()))
    with disk:
        assert looked(answers, loop) is None


def test_what_comes_from_disk_into_memory_keeps_no_longer_time_than_now_holds(tmp_path: Path) -> None:
    answers, disk, loop = restarted(tmp_path, ExactCacheConfig(ttl_s=7200), (DAYS, chat_answer()))
    with disk:
        assert looked(answers, loop) is not None
        assert looked(answers, loop, NOW_MS + HOUR_MS - 1) is not None
        assert looked(answers, loop, NOW_MS + HOUR_MS) is None


def test_a_tool_that_is_not_named_any_more_is_not_called_again_from_disk(tmp_path: Path) -> None:
    named = ExactCacheConfig(ttl_s=86_400, tools=("pay",))
    answers, disk, loop = restarted(tmp_path, ExactCacheConfig(ttl_s=86_400), (named, PAYS))
    with disk:
        assert looked(answers, loop) is None


def test_a_tool_that_is_still_named_is(tmp_path: Path) -> None:
    named = ExactCacheConfig(ttl_s=86_400, tools=("pay",))
    answers, disk, loop = restarted(tmp_path, named, (named, PAYS))
    with disk:
        assert looked(answers, loop) is not None


def test_who_left_before_the_disk_answered_has_saved_nothing(tmp_path: Path) -> None:
    answers, disk, loop = restarted(tmp_path, DAYS, (DAYS, chat_answer()))
    with disk:
        waiting = answers.look(ask(chat()), NOW_MS)
        assert isinstance(waiting, Ticket)
        stop = answers.wait(waiting, NOW_MS, lambda _: None)
        stop()
        loop.run_one()
        assert (answers.counts().saved_nanos, answers.counts().exact_hits) == (0, 0)

"""An engine's output as a person reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.supervisor.output import OutputPlace, fold, lines


def test_colours_bells_and_overwritten_progress_are_plain_lines() -> None:
    text = "\x1b[1;31merror:\x1b[0m no\a\r\nloading 10%\rloading 20%\r\n\n  \n  deep\n"
    assert lines(text) == ["error: no", "loading 10%", "loading 20%", "  deep"]


def test_an_endless_line_shows_its_beginning() -> None:
    (line,) = lines("a" * 5000)
    assert line == "a" * 1000 + "..."


@given(st.lists(st.sampled_from(["a", "b", " a ", "c"])))
def test_folding_loses_no_line_and_no_order(told: list[str]) -> None:
    unfolded: list[str] = []
    for line in fold(told):
        text, _, count = line.partition(" (x ")
        unfolded += [text] * (int(count.rstrip(")")) if count else 1)
    assert unfolded == [line.strip() for line in told]


@given(st.binary(max_size=300))
def test_any_bytes_give_printable_lines(data: bytes) -> None:
    for line in lines(data.decode(errors="replace")):
        assert line.strip()
        assert not any(character < " " for character in line.replace("\t", ""))


def test_output_is_read_across_rotated_files_from_where_this_start_began(tmp_path: Path) -> None:
    (tmp_path / "x.log.2").write_text("an older start\nfirst\n")
    (tmp_path / "x.log.1").write_text("second\n")
    (tmp_path / "x.log").write_text("third\n")
    place = OutputPlace(tmp_path / "x.log", offset=len("an older start\n"), rotations=2)
    assert place.everything() == ["first", "second", "third"]
    assert place.last(2) == ("second", "third")
    assert place.last(0) == ()


def test_of_much_output_the_first_and_the_last_part_is_read(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {number}\n" for number in range(40_000)))
    told = OutputPlace(log, offset=0, rotations=0).everything()
    assert told[0] == "line 0"
    assert told[-1] == "line 39999"
    assert told.count("...") == 1
    assert all(line.startswith("line ") for line in told if line != "...")
    assert sum(map(len, told)) < 128 * 1024


def test_an_emptied_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("new\n")
    assert OutputPlace(log, offset=500, rotations=0).everything() == ["new"]


def test_no_log_is_no_output(tmp_path: Path) -> None:
    assert OutputPlace(tmp_path / "x.log", offset=0, rotations=0).last(5) == ()


def test_a_log_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.log").mkdir()
    with pytest.raises(OSError, match=r"x\.log"):
        OutputPlace(tmp_path / "x.log", offset=0, rotations=0).last(5)

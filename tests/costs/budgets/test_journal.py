"""The files that postings are written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.costs.budgets import journal
from freehold.costs.budgets.journal import PostingsError, PostingsFile, read_segments, segments
from freehold.costs.budgets.postings import opening


def test_a_start_begins_anew_with_what_matters_and_removes_the_rest(tmp_path: Path) -> None:
    first = PostingsFile(tmp_path, opening([]))
    first.write(b"one\n")
    first.write(b"two\n")
    first.close()
    assert read_segments(tmp_path) == [[opening([]).strip(), b"one", b"two"]]
    PostingsFile(tmp_path, b"kept\n").close()
    assert read_segments(tmp_path) == [[b"kept"]]
    assert [path.name for path in tmp_path.iterdir()] == ["postings-000002.ndjson"]
    assert oct(segments(tmp_path)[0].stat().st_mode)[-3:] == "600"


def test_a_segment_that_has_grown_is_followed_and_the_one_before_is_kept_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 100)
    file = PostingsFile(tmp_path, b"")
    for number in range(3):
        file.write(b"x" * 99 + b"\n")
        assert file.grown
        file.follow(b"%d\n" % number)
        assert not file.grown
    file.write(b"last\n")
    assert read_segments(tmp_path) == [[b"1", b"x" * 99], [b"2", b"last"]]
    file.close()


def test_where_no_new_segment_can_be_made_the_old_one_goes_on(tmp_path: Path) -> None:
    file = PostingsFile(tmp_path, b"a\n")
    (tmp_path / "postings-000002.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        file.follow(b"b\n")
    file.write(b"c\n")
    assert read_segments(tmp_path) == [[b"a", b"c"]]
    (tmp_path / "postings-000002.part").rmdir()
    file.follow(b"d\n")
    assert read_segments(tmp_path) == [[b"a", b"c"], [b"d"]]
    file.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "budgets").touch()
    with pytest.raises(PostingsError, match="cannot write to"):
        PostingsFile(tmp_path / "budgets")
    assert read_segments(tmp_path / "nowhere") == []

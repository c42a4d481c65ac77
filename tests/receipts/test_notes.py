"""Signed notes and checkpoints against the examples of the C2SP texts, and against forgery."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.notes import (
    Checkpoint,
    NoteError,
    Signer,
    Verifier,
    open_checkpoint,
    open_note,
    parse_checkpoint,
)

# The example of the signed-note specification.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SIGNER = Signer("example.com/log", bytes(range(32)))


def test_the_example_of_the_specification_opens() -> None:
    assert open_note(NOTE, Verifier.parse(VKEY)) == "This is an example message.\n"
    assert Verifier.parse(VKEY).text == VKEY


def test_keys_survive_being_written_down() -> None:
    again = Signer.parse(SIGNER.text)
    assert again.verifier.text == SIGNER.verifier.text
    assert again.sign("text\n") == SIGNER.sign("text\n")


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    head = Checkpoint("example.com/log", 20_852_163, bytes(32))
    assert open_checkpoint(SIGNER.sign(head.text()), SIGNER.verifier) == head


@given(st.data())
def test_no_changed_character_of_a_note_is_accepted_as_another_text(data: st.DataObject) -> None:
    head = Checkpoint("example.com/log", 12, bytes(range(32)))
    note = SIGNER.sign(head.text())
    at = data.draw(st.integers(0, len(note) - 1))
    changed = note[:at] + data.draw(st.characters(codec="utf-8")) + note[at + 1 :]
    with contextlib.suppress(NoteError):
        assert open_checkpoint(changed, SIGNER.verifier) == head


def test_signatures_of_other_keys_are_ignored_but_ours_must_be_there() -> None:
    witness = Signer("witness.example", bytes(32))
    text = Checkpoint("example.com/log", 0, bytes(32)).text()
    other_line = witness.sign(text).rpartition("\n\n")[2]
    assert open_note(SIGNER.sign(text) + other_line, SIGNER.verifier) == text
    with pytest.raises(NoteError, match="carries no signature of"):
        open_note(witness.sign(text), SIGNER.verifier)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    text = Checkpoint("example.com/other", 0, bytes(32)).text()
    with pytest.raises(NoteError, match="is of log"):
        open_checkpoint(SIGNER.sign(text), SIGNER.verifier)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("origin\n1\n", "three lines"),
        ("origin\n01\nAAAA\n", "not a decimal"),
        ("origin\n-1\nAAAA\n", "not a decimal"),
        ("origin\n1\n%%%\n", "not base64"),
        ("origin\n1\nAAAA\n", "3 bytes"),
    ],
)
def test_malformed_checkpoints_say_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        parse_checkpoint(text)


@pytest.mark.parametrize("name", ["", "with space", "a+b", "line\nbreak"])
def test_names_that_would_break_the_format_are_refused(name: str) -> None:
    with pytest.raises(NoteError, match="cannot name a log"):
        Signer(name, bytes(32))


@pytest.mark.parametrize("text", ["x", "a+b", "a+00000000+AAAA", VKEY.replace("530d903a", "530d903b")])
def test_broken_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(text)

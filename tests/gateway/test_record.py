"""What a call leaves behind, as far as it is decided from values alone."""

from __future__ import annotations

import pytest

from freehold.core.errors import CallError
from freehold.gateway.record import Caller, caller_of, estimated_usage, outcome_of, text_header
from freehold.gateway.refusals import recorded_words, status_for
from freehold.gateway.tries import Try
from freehold.receipts.entries import Attempt


def test_a_call_is_attributed_as_its_headers_say():
    headers = {
        b"x-freehold-project": b"site",
        b"x-freehold-agent": b"writer",
        b"x-freehold-task": b"t-1",
        b"x-freehold-session": b"s-1",
    }
    assert caller_of(headers) == Caller(project="site", agent="writer", task="t-1", session="s-1")
    assert caller_of({}) == Caller()


@pytest.mark.parametrize(
    ("headers", "session"),
    [
        ({b"x-claude-code-session-id": b"claude"}, "claude"),
        ({b"session-id": b"codex"}, "codex"),
        ({b"session_id": b"codex"}, "codex"),
        ({b"session-id": b"codex", b"x-freehold-session": b"mine"}, "mine"),
    ],
)
def test_agents_name_their_sessions_by_themselves(headers, session):
    assert caller_of(headers).session == session


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"x" * 500, "x" * 200), ("Zürich".encode(), "Zürich"), (b"\xff", "\ufffd"), (b"", "")],
)
def test_attribution_is_bounded_text(value, text):
    assert text_header({b"h": value}, b"h") == text


def test_an_attempt_tells_its_times_from_the_calls_start():
    tried = Try(deployment="a/m", started_ns=5_000_000)
    tried.status = 200
    tried.first_byte_ns, tried.ended_ns = 7_000_000, 12_345_678
    assert tried.attempt(1_000_000) == Attempt(
        deployment="a/m", start_us=4000, first_byte_us=2000, total_us=7345, status=200
    )


def test_an_attempt_that_never_ended_has_no_times():
    attempt = Try(deployment="a/m", started_ns=5_000_000).attempt(5_000_000)
    assert (attempt.first_byte_us, attempt.total_us) == (0, 0)


def test_what_nobody_reported_is_guessed_from_sizes():
    guess = estimated_usage(4001, 7)
    assert (guess.fresh_in, guess.visible_out) == (1000, 7)


FAILED = CallError(kind="upstream", status=502, source="upstream", message="alpha: gone")


def test_a_call_without_an_attempt_was_refused():
    assert (outcome_of(FAILED, 0), outcome_of(FAILED, 1)) == ("refused", "error")


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_receipt_keeps_no_words_in_which_a_prompt_may_be_repeated(status):
    """The log is never redacted."""
    error = CallError(
        kind="invalid_request",
        status=status,
        source="upstream",
        message="cannot read: my secret prompt",
        code="bad",
        param="messages",
    )
    assert recorded_words(error) == "invalid_request bad messages"


def test_a_receipt_keeps_other_words():
    assert recorded_words(FAILED) == "alpha: gone"


@pytest.mark.parametrize(
    ("dialect", "status", "told"),
    [("messages", 529, 529), ("chat", 529, 503), ("responses", 529, 503), ("chat", 429, 429)],
)
def test_529_is_anthropics_own_word(dialect, status, told):
    assert status_for(dialect, status) == told

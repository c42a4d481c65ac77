"""Windows over time: what is left, how long it lasts, and when a provider is better left alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.limits.book import FORGET_MS, MOST_WINDOWS, LimitBook
from freehold.costs.limits.burn import first_reading
from freehold.costs.limits.headers import WHOLE_PPM, LimitSeen
from freehold.costs.limits.window import LimitView

NOW_MS = 1_790_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def five_hours(left: float, resets_ms: int = NOW_MS + 4 * HOUR_MS, **more: object) -> LimitSeen:
    return LimitSeen(
        window="5h",
        unit="share",
        left=round(left * WHOLE_PPM),
        limit=WHOLE_PPM,
        resets_ms=resets_ms,
        length_ms=5 * HOUR_MS,
        of_account=True,
        **more,  # pyright: ignore[reportArgumentType]
    )


def tokens(left: int, resets_ms: int | None = None) -> LimitSeen:
    return LimitSeen(window="tokens", unit="tokens", left=left, limit=100_000, resets_ms=resets_ms)


def only(book: LimitBook, now_ms: int) -> LimitView:
    (view,) = book.views(now_ms)
    return view


def test_a_steady_pace_tells_when_the_window_will_be_gone() -> None:
    book = LimitBook()
    for minute in range(61):  # 20 % in an hour
        book.seen("claude", [five_hours(0.5 - 0.2 * minute / 60)], NOW_MS + minute * MINUTE_MS)
    now_ms = NOW_MS + HOUR_MS
    view = only(book, now_ms)
    assert view.used_per_hour == pytest.approx(200_000, rel=0.02)
    assert view.gone_ms is not None and view.gone_early_ms is not None
    assert (view.gone_ms - now_ms) / HOUR_MS == pytest.approx(1.5, rel=0.03)
    assert view.gone_early_ms < view.gone_ms
    assert view.gone_late_ms is None or view.gone_late_ms > view.gone_ms


def test_a_pace_that_lasts_until_the_reset_is_no_end() -> None:
    book = LimitBook()
    for minute in range(61):
        book.seen("claude", [five_hours(0.9 - 0.05 * minute / 60)], NOW_MS + minute * MINUTE_MS)
    view = only(book, NOW_MS + HOUR_MS)
    assert view.used_per_hour > 0 and view.gone_ms is None


def test_when_nothing_is_asked_any_more_the_pace_falls() -> None:
    book = LimitBook()
    for minute in range(61):
        book.seen("claude", [five_hours(0.5 - 0.2 * minute / 60)], NOW_MS + minute * MINUTE_MS)
    busy = only(book, NOW_MS + HOUR_MS).used_per_hour
    assert only(book, NOW_MS + 2 * HOUR_MS).used_per_hour < busy / 2


def test_nine_times_of_ten_the_pace_is_within_its_band() -> None:
    chance, hits, rounds = random.Random(1), 0, 200
    for _ in range(rounds):
        at_ms, burn = NOW_MS, first_reading(NOW_MS, 5 * HOUR_MS)
        for _ in range(40):  # calls of 100 to 900 tokens, one in a minute on average
            at_ms += round(chance.expovariate(1 / MINUTE_MS))
            burn = burn.after(at_ms, chance.uniform(100, 900))
        pace = burn.pace(at_ms, 1)
        hits += pace.low <= 500 / MINUTE_MS <= pace.high
    assert 0.8 * rounds < hits <= rounds


def test_a_used_up_window_keeps_calls_away_until_it_resets() -> None:
    book = LimitBook()
    book.seen("claude", [five_hours(0.0, NOW_MS + HOUR_MS, status="rejected")], NOW_MS)
    out = book.exhausting("claude", NOW_MS)
    assert out is not None and (out.kind, out.until_ms) == ("out", NOW_MS + HOUR_MS)
    assert book.exhausting("claude", NOW_MS + HOUR_MS) is None
    view = only(book, NOW_MS + HOUR_MS)
    assert (view.left, view.status, view.resets_ms) == (WHOLE_PPM, "", None)


def test_the_last_part_of_a_plan_is_kept_for_people() -> None:
    book = LimitBook(human_reserve=0.1)
    book.seen("claude", [five_hours(0.11)], NOW_MS)
    assert book.exhausting("claude", NOW_MS) is None
    book.seen("claude", [five_hours(0.10)], NOW_MS + 1)
    found = book.exhausting("claude", NOW_MS + 1)
    assert found is not None and found.kind == "reserve"
    assert found.text == "its limit '5h' has 10 % left, which is kept for people"


def test_a_window_is_left_alone_shortly_before_it_fails() -> None:
    book = LimitBook()
    for second in range(31):  # 3,000 tokens a second, until 10,000 are left
        book.seen("openai", [tokens(100_000 - 3000 * second)], NOW_MS + second * 1000, "gpt-5")
    now_ms = NOW_MS + 30_000
    found = book.exhausting("openai", now_ms, "gpt-5")
    assert found is not None and found.kind == "soon" and found.until_ms is None
    assert book.exhausting("openai", now_ms, "gpt-5-mini") is None, "limits are the model's"
    assert book.exhausting("openai", now_ms + HOUR_MS, "gpt-5") is None, "what nobody renews is not believed"


def test_what_binds_nobody_keeps_nobody_away() -> None:
    book = LimitBook()
    credits = LimitSeen(window="credits", unit="credits", left=0, of_account=True, binding=False)
    book.seen("codex", [credits], NOW_MS)
    assert book.exhausting("codex", NOW_MS) is None
    assert only(book, NOW_MS).left == 0


def test_the_gravest_reason_is_told() -> None:
    book = LimitBook(human_reserve=0.5)
    week = LimitSeen(
        window="7d", unit="share", left=0, limit=WHOLE_PPM, resets_ms=NOW_MS + DAY_MS, of_account=True
    )
    book.seen("claude", [five_hours(0.3), week], NOW_MS)
    found = book.exhausting("claude", NOW_MS)
    assert found is not None and (found.window, found.kind) == ("7d", "out")


def test_an_answer_that_was_overtaken_gives_nothing_back() -> None:
    book = LimitBook()
    for left in (0.50, 0.40, 0.45, 0.39):
        book.seen("claude", [five_hours(left)], NOW_MS)
    assert only(book, NOW_MS).left == 390_000


def test_a_new_window_is_full_again_and_does_not_spoil_the_pace() -> None:
    book = LimitBook()
    for minute in range(31):
        book.seen("claude", [five_hours(0.5 - 0.1 * minute / 30)], NOW_MS + minute * MINUTE_MS)
    pace = only(book, NOW_MS + 30 * MINUTE_MS).used_per_hour
    later_ms = NOW_MS + 5 * HOUR_MS
    book.seen("claude", [five_hours(0.99, later_ms + 5 * HOUR_MS)], later_ms)
    view = only(book, later_ms)
    assert view.left == 990_000
    assert view.used_per_hour == pytest.approx(pace, rel=0.01)


def test_the_book_is_bounded_and_the_oldest_goes_first() -> None:
    book = LimitBook()
    for number in range(MOST_WINDOWS + 50):
        book.seen("openai", [tokens(5)], NOW_MS + number, f"model-{number}")
    views = book.views(NOW_MS + 1000)
    assert len(views) == MOST_WINDOWS
    assert "model-0" not in {view.model for view in views}


def test_a_book_survives_a_restart_without_what_is_long_past() -> None:
    book = LimitBook()
    book.seen("old", [tokens(5)], NOW_MS)
    book.seen("claude", [five_hours(0.4)], NOW_MS + FORGET_MS)
    again = LimitBook()
    assert again.restore(book.document(), NOW_MS + FORGET_MS)
    assert again.views(NOW_MS + FORGET_MS) == book.views(NOW_MS + FORGET_MS)
    assert [view.provider for view in again.views(NOW_MS + FORGET_MS)] == ["claude"]
    assert not LimitBook().restore(b"{nonsense", NOW_MS)


@given(
    st.lists(
        st.tuples(st.integers(0, 100_000), st.integers(0, WHOLE_PPM), st.integers(-HOUR_MS, DAY_MS)),
        min_size=1,
        max_size=30,
    )
)
def test_whatever_is_told_the_figures_make_sense(readings: list[tuple[int, int, int]]) -> None:
    book, now_ms = LimitBook(0.1), NOW_MS
    for passed, left, resets in readings:
        now_ms += passed
        book.seen("claude", [five_hours(left / WHOLE_PPM, now_ms + resets)], now_ms)
    view = only(book, now_ms)
    assert view.left is not None and 0 <= view.left <= WHOLE_PPM
    assert view.used_per_hour >= 0
    if view.gone_ms is not None:
        assert view.gone_early_ms is not None and now_ms <= view.gone_early_ms <= view.gone_ms


def test_answers_that_follow_closely_are_read_now_and_then_but_refusals_always() -> None:
    book = LimitBook()
    left = {b"x-ratelimit-remaining-requests": b"9", b"x-ratelimit-limit-requests": b"10"}
    for ms in range(0, 1000, 10):
        book.read("openai", left, NOW_MS + ms, "gpt-5")
    assert book.changes == 10
    book.read("openai", {b"retry-after": b"3"}, NOW_MS + 991, "gpt-5", refused=True)
    found = book.exhausting("openai", NOW_MS + 992, "gpt-5")
    assert found is not None and found.until_ms == NOW_MS + 3991


def requests(left: int) -> dict[bytes, bytes]:
    return {
        b"x-ratelimit-limit-requests": b"100",
        b"x-ratelimit-remaining-requests": b"%d" % left,
        b"x-ratelimit-reset-requests": b"6m0s",
    }


def week(used: float, status: str) -> dict[bytes, bytes]:
    word = status.encode()
    return {
        b"anthropic-ratelimit-unified-status": word,
        b"anthropic-ratelimit-unified-7d-status": word,
        b"anthropic-ratelimit-unified-7d-utilization": b"%.1f" % used,
        b"anthropic-ratelimit-unified-7d-reset": b"%d" % ((NOW_MS + 6 * DAY_MS) // 1000),
    }


def test_answers_are_read_also_after_the_clock_was_set_back() -> None:
    book = LimitBook()
    book.read("openai", requests(90), NOW_MS + HOUR_MS, "m")
    book.read("openai", requests(0), NOW_MS, "m")
    assert only(book, NOW_MS).left == 0


def test_credits_that_were_bought_are_there() -> None:
    book = LimitBook()
    for at_ms, credits in ((NOW_MS, b"3"), (NOW_MS + HOUR_MS, b"5000")):
        book.read("codex", {b"x-codex-credits-balance": credits}, at_ms, "m")
    assert only(book, NOW_MS + HOUR_MS).left == 5000


def test_a_larger_plan_in_the_middle_of_a_window_gives_it_more() -> None:
    book = LimitBook()
    book.read("claude", week(1.0, "rejected"), NOW_MS, "m", refused=True)
    book.read("claude", week(0.2, "allowed"), NOW_MS + HOUR_MS, "m")
    assert book.exhausting("claude", NOW_MS + HOUR_MS, "m") is None
    assert only(book, NOW_MS + HOUR_MS).left == pytest.approx(0.8 * WHOLE_PPM)


def test_an_answer_that_was_overtaken_gives_a_window_nothing_back() -> None:
    book = LimitBook()
    book.read("claude", week(0.5, "allowed"), NOW_MS, "m")
    book.read("claude", week(0.2, "allowed"), NOW_MS + 5000, "m")
    assert only(book, NOW_MS + 5000).left == pytest.approx(0.5 * WHOLE_PPM)


def test_who_answers_again_asks_for_no_more_patience() -> None:
    book = LimitBook()
    book.read("groq", {b"retry-after": b"36000"}, NOW_MS, "m", refused=True)
    book.read("groq", {}, NOW_MS + 10 * MINUTE_MS, "m")
    assert book.exhausting("groq", NOW_MS + 10 * MINUTE_MS, "m") is None
    assert book.views(NOW_MS + 10 * MINUTE_MS) == ()


@pytest.mark.parametrize(("model", "after_ms"), [("m", 30_000), ("other", 10 * MINUTE_MS)])
def test_an_answer_that_was_overtaken_or_another_model_s_ends_no_patience(model: str, after_ms: int) -> None:
    book = LimitBook()
    book.read("groq", {b"retry-after": b"36000"}, NOW_MS, "m", refused=True)
    book.read("groq", {}, NOW_MS + after_ms, model)
    assert book.exhausting("groq", NOW_MS + after_ms, "m") is not None


def test_a_plan_that_is_used_up_is_so_also_where_overage_is_not_bought() -> None:
    """The window that is used up has no headers of its own; overage is rejected while all is well, too."""
    book = LimitBook()
    told = {
        b"anthropic-ratelimit-unified-status": b"rejected",
        b"anthropic-ratelimit-unified-reset": b"%d" % ((NOW_MS + HOUR_MS) // 1000),
        b"anthropic-ratelimit-unified-5h-status": b"allowed",
        b"anthropic-ratelimit-unified-5h-utilization": b"0.3",
        b"anthropic-ratelimit-unified-overage-status": b"rejected",
    }
    book.read("claude", told, NOW_MS, "m", refused=True)
    assert book.exhausting("claude", NOW_MS, "m") is not None

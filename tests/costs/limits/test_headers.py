"""What answers of each provider say about limits, in their own words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.limits.headers import WHOLE_PPM, LimitSeen, read_limits, reset_ms

NOW_MS = round(datetime(2026, 11, 21, 4, 0, tzinfo=UTC).timestamp() * 1000)
NOW_S = NOW_MS // 1000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def seen(headers: dict[bytes, bytes], provider: str = "box") -> dict[str, LimitSeen]:
    return {each.window: each for each in read_limits(headers, provider, NOW_MS)}


def read(provider: str = "box", **fields: str) -> dict[str, LimitSeen]:
    return seen({name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}, provider)


def test_most_answers_tell_nothing() -> None:
    assert read(content_type="application/json", date="Sat, 21 Nov 2026 04:00:00 GMT") == {}


def test_anthropic_s_api_tells_four_windows() -> None:
    found = read(
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="49",
        anthropic_ratelimit_requests_reset="2026-11-21T04:00:02Z",
        anthropic_ratelimit_input_tokens_limit="30000",
        anthropic_ratelimit_input_tokens_remaining="12000",
        anthropic_ratelimit_input_tokens_reset="2026-11-21T04:00:36Z",
        anthropic_organization_id="7a",
    )
    assert found["requests"] == LimitSeen(
        window="requests", unit="requests", left=49, limit=50, resets_ms=NOW_MS + 2000
    )
    assert found["input-tokens"].unit == "tokens" and found["input-tokens"].left == 12_000
    assert set(found) == {"requests", "input-tokens"}


def test_a_plan_of_anthropic_tells_shares() -> None:
    found = seen(
        {
            b"anthropic-ratelimit-unified-status": b"allowed_warning",
            b"anthropic-ratelimit-unified-reset": b"%d" % (NOW_S + 900),
            b"anthropic-ratelimit-unified-representative-claim": b"five_hour",
            b"anthropic-ratelimit-unified-5h-utilization": b"0.83",
            b"anthropic-ratelimit-unified-5h-reset": b"%d" % (NOW_S + 900),
            b"anthropic-ratelimit-unified-5h-status": b"allowed_warning",
            b"anthropic-ratelimit-unified-7d-utilization": b"0.4",
            b"anthropic-ratelimit-unified-7d-status": b"allowed",
            b"anthropic-ratelimit-unified-7d_oi-utilization": b"1.02",
            b"anthropic-ratelimit-unified-overage-status": b"rejected",
            b"anthropic-ratelimit-unified-overage-disabled-reason": b"org_level_disabled",
        }
    )
    assert found["5h"] == LimitSeen(
        window="5h",
        unit="share",
        left=170_000,
        limit=WHOLE_PPM,
        resets_ms=NOW_MS + 900_000,
        length_ms=5 * HOUR_MS,
        status="warning",
        of_account=True,
    )
    assert (found["7d"].left, found["7d"].length_ms) == (600_000, 7 * DAY_MS)
    assert (found["7d_oi"].left, found["7d_oi"].of_account) == (0, False)
    assert not found["overage"].binding
    assert set(found) == {"5h", "7d", "7d_oi", "overage"}


def test_a_rejected_plan_without_a_window_that_says_so_is_a_window_of_its_own() -> None:
    (plan,) = read(
        anthropic_ratelimit_unified_status="rejected", anthropic_ratelimit_unified_reset=str(NOW_S + 60)
    ).values()
    assert (plan.window, plan.left, plan.status, plan.resets_ms) == ("plan", 0, "rejected", NOW_MS + 60_000)


def test_openai_tells_requests_and_tokens_with_spans() -> None:
    found = read(
        x_ratelimit_limit_requests="60",
        x_ratelimit_remaining_requests="59",
        x_ratelimit_reset_requests="1s",
        x_ratelimit_limit_tokens="150000",
        x_ratelimit_remaining_tokens="149984",
        x_ratelimit_reset_tokens="6m0s",
        x_ratelimit_remaining_project_tokens="5",
    )
    assert (found["requests"].left, found["requests"].resets_ms) == (59, NOW_MS + 1000)
    assert (found["tokens"].left, found["tokens"].resets_ms) == (149_984, NOW_MS + 360_000)
    assert found["tokens"].length_ms is None
    assert found["project-tokens"].unit == "tokens"


def test_groq_counts_requests_by_the_day_and_tokens_by_the_minute() -> None:
    found = read(
        "groq",
        x_ratelimit_remaining_requests="14370",
        x_ratelimit_limit_requests="14400",
        x_ratelimit_reset_requests="2m59.56s",
        x_ratelimit_remaining_tokens="17997",
        x_ratelimit_reset_tokens="7.66s",
        retry_after="2",
    )
    assert (found["requests"].length_ms, found["tokens"].length_ms) == (DAY_MS, 60_000)
    assert found["requests"].resets_ms == NOW_MS + 179_560
    assert found["tokens"].resets_ms == NOW_MS + 7660
    assert (found["retry-after"].left, found["retry-after"].resets_ms) == (0, NOW_MS + 2000)


def test_openrouter_tells_milliseconds_since_1970() -> None:
    found = read(x_ratelimit_limit="20", x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW_MS + 30_000))
    assert found["requests"] == LimitSeen(
        window="requests", unit="requests", left=0, limit=20, resets_ms=NOW_MS + 30_000
    )


def test_codex_tells_percents_credits_and_windows_of_other_models() -> None:
    found = read(
        x_codex_primary_used_percent="12.5",
        x_codex_primary_window_minutes="300",
        x_codex_primary_reset_at=str(NOW_S + 3600),
        x_codex_secondary_used_percent="100",
        x_codex_secondary_window_minutes="10080",
        x_codex_secondary_reset_after_seconds="86400",
        x_codex_credits_has_credits="false",
        x_codex_credits_balance="0",
        x_codex_other_primary_used_percent="3",
        x_codex_other_limit_name="other",
    )
    assert (found["5h"].left, found["5h"].resets_ms) == (875_000, NOW_MS + 3_600_000)
    assert (found["7d"].left, found["7d"].resets_ms) == (0, NOW_MS + DAY_MS)
    assert found["credits"].left == 0 and not found["credits"].binding
    assert found["other primary"].left == 970_000 and not found["other primary"].binding
    assert set(found) == {"5h", "7d", "credits", "other primary"}


@pytest.mark.parametrize(
    ("value", "after_ms"),
    [
        (b"6m0s", 360_000),
        (b"120ms", 120),
        (b"1h2m3.5s", 3_723_500),
        (b"1d", DAY_MS),
        (b"0s", 0),
        (b"30", 30_000),
        (b"7.66s", 7660),
        (b"2026-11-21T04:00:10Z", 10_000),
        (b"2026-11-21T05:00:10+01:00", 10_000),
        (b"%d" % (NOW_S + 5), 5000),
        (b"%d" % (NOW_MS + 5), 5),
    ],
)
def test_a_reset_is_read_in_every_form(value: bytes, after_ms: int) -> None:
    assert reset_ms(value, NOW_MS) == NOW_MS + after_ms


@pytest.mark.parametrize("value", [b"", b"soon", b"-5", b"nan", b"inf", b"\xff\xfe", b"2026-99-99T00:00:00Z"])
def test_a_reset_that_cannot_be_read_is_none(value: bytes) -> None:
    assert reset_ms(value, NOW_MS) is None


_NAMES = st.sampled_from(
    [
        *(b"x-ratelimit-%b" % part for part in (b"limit", b"remaining-tokens", b"reset-requests", b"-", b"")),
        *(b"anthropic-ratelimit-%b" % part for part in (b"unified-5h-utilization", b"unified-reset", b"x")),
        *(b"anthropic-ratelimit-%b" % part for part in (b"tokens-reset", b"unified-5h-status", b"-limit")),
        *(b"x-codex-%b" % part for part in (b"primary-used-percent", b"primary-window-minutes", b"primary-")),
        b"x-codex-credits-balance", b"x--primary-used-percent", b"-used-percent", b"retry-after",
    ]
)  # fmt: skip


@given(
    st.dictionaries(_NAMES, st.one_of(st.binary(max_size=24), st.floats().map(lambda f: repr(f).encode())))
)
def test_no_header_can_break_the_reading(headers: dict[bytes, bytes]) -> None:
    for each in read_limits(headers, "groq", NOW_MS):
        assert each.left is None or each.left >= 0
        assert each.unit != "share" or each.left is None or each.left <= WHOLE_PPM

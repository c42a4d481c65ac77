"""Whether telemetry tells of a call that has its entry: proofs, weak and strong, and what is no proof."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.observed import Observed
from freehold.core.usage import Usage
from freehold.receipts.entries import Receipt
from freehold.receipts.observed import Charge, is_strong, observed_receipt
from freehold.receipts.recognise import Recent, in_order

T = 1_767_225_600_000
TRACE, CALL, AROUND, OUTER = "aa" * 16, "01" * 8, "02" * 8, "03" * 8
USED = Usage(fresh_in=47, cache_read=64, visible_out=12)

OURS = Receipt(
    id="r-1",
    endpoint="chat",
    model="gpt-4o-mini",
    model_asked="fast",
    outcome="ok",
    response_id="chatcmpl-CabcdefghijklmnopqrstuvwxyZ12",
    started_ms=T + 100,
    total_us=700_000,
    upstream_request_id="req_011CVabcdefghijklmn",
    usage=USED,
    usage_state="reported",
)
SEEN = Observed(
    kind="call",
    service="shop",
    exporter="tests",
    trace_id=TRACE,
    span_id=CALL,
    model="gpt-4o-mini",
    model_asked="gpt-4o-mini",
    started_ms=T,
    duration_us=1_000_000,
    usage=USED,
    usage_raw="{}",
)


def seen(**facts):
    return msgspec.structs.replace(SEEN, **facts)


def ours(**facts):
    return msgspec.structs.replace(OURS, **facts)


def recent(*receipts, parents=None):
    made = Recent()
    for each in receipts:
        made.add(each)
    made.link(parents or {})
    return made


def entry(observed, receipt_id="r-2"):
    return observed_receipt(observed, Charge(), receipt_id, T + 5_000)


# -- calls that came through this house


def test_its_receipts_own_id_proves_it():
    assert recent().recognise(seen(receipt="r-1")) == "receipt"


def test_our_own_address_proves_it():
    assert recent().recognise(seen(address="localhost:8484"), {"localhost:8484"}) == "address"


def test_an_id_of_the_answer_proves_it_whenever_it_was():
    late = T + 86_400_000
    assert recent(OURS).recognise(seen(response_id=OURS.response_id, started_ms=late)) == "id"
    assert recent(OURS).recognise(seen(request_id=OURS.upstream_request_id, started_ms=late)) == "id"
    # Claude Code's spans call the request's id the answer's.
    assert recent(OURS).recognise(seen(response_id=OURS.upstream_request_id, started_ms=late)) == "id"


def test_a_short_id_proves_it_only_at_its_time_and_with_its_counts():
    here = recent(ours(response_id="chatcmpl-123"))
    assert here.recognise(seen(response_id="chatcmpl-123", started_ms=T + 86_400_000)) == ""
    other = Usage(fresh_in=5, visible_out=1)
    assert here.recognise(seen(response_id="chatcmpl-123", usage=other, span_id="09" * 8)) == ""
    assert here.recognise(seen(response_id="chatcmpl-123", span_id="0a" * 8)) == "id"


def test_the_span_that_called_us_proves_it():
    assert recent(ours(trace=f"{TRACE}-{CALL}")).recognise(SEEN) == "span"


def test_a_passage_to_us_proves_what_is_around_it():
    here = recent(parents={(TRACE, CALL): AROUND, (TRACE, AROUND): OUTER})
    passage = Observed(kind="passage", trace_id=TRACE, span_id=CALL, parent_id=AROUND, started_ms=T)
    passage = msgspec.structs.replace(passage, address="127.0.0.1:8484")
    assert here.recognise(passage, {"127.0.0.1:8484"}) == "address"
    assert here.recognise(seen(span_id=OUTER)) == "wraps"


def test_a_passage_to_another_place_proves_nothing():
    here = recent()
    passage = Observed(
        kind="passage",
        trace_id=TRACE,
        span_id=CALL,
        parent_id=AROUND,
        started_ms=T,
        address="api.openai.com",
    )
    assert here.recognise(passage, {"127.0.0.1:8484"}) == ""
    assert here.recognise(seen(span_id=AROUND)) == ""


# -- by time


def test_a_call_within_its_time_with_its_counts_and_model_is_ours():
    assert recent(OURS).recognise(SEEN) == "time"


@pytest.mark.parametrize(
    "facts",
    [
        {"usage": Usage(fresh_in=46, cache_read=64, visible_out=12)},
        {"model": "other", "model_asked": "other"},
        {"started_ms": T + 2_000},
        {"started_ms": T - 2_000},
        {"duration_us": 100_000},
        {"response_id": "chatcmpl-another"},
    ],
)
def test_what_speaks_against_it(facts):
    assert recent(OURS).recognise(seen(**facts)) == ""


def test_a_call_that_went_to_a_provider_is_not_ours_by_its_time():
    assert recent(OURS).recognise(SEEN, elsewhere=True) == ""


def test_each_of_our_calls_answers_for_one_of_an_exporters():
    here = recent(OURS, ours(id="r-2", response_id="chatcmpl-2"))
    spans = [seen(span_id=f"{number:016x}") for number in range(1, 5)]
    assert [here.recognise(each) for each in spans] == ["time", "time", "", ""]


def test_two_exporters_may_tell_of_the_same_call():
    here = recent(OURS)
    other = seen(span_id="0c" * 8, trace_id="bb" * 16, exporter="another")
    assert [here.recognise(SEEN), here.recognise(other)] == ["time", "time"]


def test_counts_that_the_exporter_does_not_have_speak_not_against_it():
    assert recent(OURS).recognise(seen(usage=Usage(), usage_raw="")) == "time"


@pytest.mark.parametrize("state", ["none", "partial", "estimated"])
def test_counts_that_we_guessed_speak_not_against_it(state):
    cut = ours(outcome="cancelled", usage_state=state, usage=Usage(fresh_in=1))
    assert recent(cut).recognise(SEEN) == "time"


def test_a_call_that_we_refused_is_recognised_in_the_error_that_the_exporter_tells():
    refused = ours(
        outcome="refused", usage=Usage(), usage_state="none", response_id="", upstream_request_id=""
    )
    failed = seen(model="fast", model_asked="fast", usage=Usage(), usage_raw="", error="RateLimitError")
    assert recent(refused).recognise(failed) == "time"


def test_without_a_duration_the_session_must_be_the_same():
    here = recent(ours(session="s-1"))
    codex = seen(span_id="", duration_us=None, started_ms=T + 810)
    assert here.recognise(codex) == ""
    assert here.recognise(msgspec.structs.replace(codex, session="s-2")) == ""
    assert here.recognise(msgspec.structs.replace(codex, session="s-1")) == "time"


def test_sums_of_a_session_are_known_where_its_calls_are():
    sums = seen(span_id="", of_many=True, session="s-1", started_ms=T - 30_000, duration_us=60_000_000)
    assert recent(ours(session="s-1")).recognise(sums) == "time"
    assert recent(ours(session="s-2")).recognise(sums) == ""


# -- told twice


def test_a_span_that_was_recorded_is_known():
    assert recent(entry(SEEN)).recognise(SEEN) == "span"


def test_an_event_that_repeats_a_span_is_known_by_the_answers_id():
    told = seen(response_id="chatcmpl-standin2")
    repeat = seen(response_id="chatcmpl-standin2", span_id="", started_ms=T + 1_000, duration_us=None)
    assert recent(entry(told)).recognise(repeat) == "id"


def test_what_has_no_id_at_all_is_known_when_it_comes_again():
    codex = seen(span_id="", trace_id="", duration_us=None, session="s-1")
    assert recent(entry(codex)).recognise(codex) == "again"
    assert recent(entry(codex)).recognise(msgspec.structs.replace(codex, started_ms=T + 1)) == ""


def test_equal_calls_at_the_same_moment_are_two():
    assert recent(entry(SEEN)).recognise(seen(span_id="0d" * 8)) == ""


def test_what_is_around_a_recorded_call_is_no_other_call():
    here = recent(parents={(TRACE, CALL): AROUND, (TRACE, AROUND): OUTER})
    assert here.recognise(seen(parent_id=AROUND)) == ""
    assert here.recognise(seen(span_id=OUTER)) == "wraps"
    assert here.recognise(seen(span_id=OUTER, trace_id="bb" * 16)) == ""


def test_what_has_no_id_is_known_when_it_comes_again_from_a_clock_that_is_ahead() -> None:
    here = recent()
    codex = seen(span_id="", trace_id="", duration_us=None, session="s-1", started_ms=T + 7_200_000)
    assert here.recognise(codex) == ""
    here.add(entry(codex))
    assert here.recognise(codex) == "again"


def test_what_has_no_id_and_could_not_be_recorded_is_asked_about_again() -> None:
    here = recent()
    codex = seen(span_id="", trace_id="", duration_us=None, session="s-1")
    assert here.recognise(codex) == ""
    here.undecide(codex)
    assert here.recognise(codex) == ""


EVENT = seen(span_id="", parent_id=AROUND, session="s-1")
SPAN = seen(parent_id=AROUND, session="s-1")


@pytest.mark.parametrize(("first", "second"), [(EVENT, SPAN), (SPAN, EVENT)], ids=["event", "span"])
def test_an_event_and_a_span_without_an_id_of_the_answer_are_one_call(
    first: Observed, second: Observed
) -> None:
    assert recent(entry(first)).recognise(second) == "id"


@pytest.mark.parametrize(
    "facts",
    [
        {"session": "s-2"},
        {"session": ""},
        {"usage": Usage(fresh_in=5, visible_out=1)},
        {"model": "other"},
        {"started_ms": T + 9_000},
        {"span_id": CALL},
    ],
)
def test_what_makes_an_event_and_a_span_two_calls(facts: dict[str, Any]) -> None:
    other = msgspec.structs.replace(EVENT, **facts)
    assert recent(entry(msgspec.structs.replace(SPAN, span_id="0d" * 8))).recognise(other) == ""


@pytest.mark.parametrize("parents", [{}, {(TRACE, AROUND): OUTER}], ids=["child", "grandchild"])
def test_a_call_within_one_that_is_recorded_is_no_other_call(parents: dict[tuple[str, str], str]) -> None:
    here = recent(
        entry(seen(span_id=OUTER if parents else AROUND)), parents={(TRACE, CALL): AROUND} | parents
    )
    assert here.recognise(seen(parent_id=AROUND)) == "within"


@pytest.mark.parametrize(
    "facts",
    [
        {"usage": Usage(fresh_in=46, cache_read=64, visible_out=12)},
        {"usage": Usage(), "usage_raw": ""},
        {"model": "other", "model_asked": "other"},
        {"trace_id": "bb" * 16},
    ],
)
def test_a_call_within_one_that_is_recorded_with_other_counts_is_another(facts: dict[str, Any]) -> None:
    here = recent(entry(seen(span_id=AROUND)), parents={(TRACE, CALL): AROUND})
    assert here.recognise(seen(parent_id=AROUND, **facts)) == ""


def test_what_was_recognised_stays_recognised():
    here = recent(OURS)
    assert [here.recognise(SEEN), here.recognise(seen(model="m", model_asked="m"))] == ["time", "span"]


# -- tools


def tool(**facts):
    given = {"kind": "tool", "tool": "Bash", "trace_id": TRACE, "span_id": CALL, "started_ms": T} | facts
    return Observed(**given)


def test_a_tool_use_is_known_by_the_id_of_its_call():
    here = recent(entry(tool(tool_call_id="toolu_01AbCdEfGhIjKlMn")))
    assert here.recognise(tool(tool_call_id="toolu_01AbCdEfGhIjKlMn", span_id="", trace_id="")) == "id"


def test_a_short_id_of_a_tools_call_counts_near_its_time_and_for_that_tool():
    here = recent(entry(tool(tool_call_id="call_0")))
    assert here.recognise(tool(tool_call_id="call_0", span_id="", started_ms=T + 60_000)) == ""
    assert here.recognise(tool(tool_call_id="call_0", span_id="", tool="Read")) == ""
    assert here.recognise(tool(tool_call_id="call_0", span_id="")) == "id"


@pytest.mark.parametrize("outer_first", [True, False])
def test_the_same_tool_in_a_span_within_is_the_same_use(outer_first):
    here = recent(parents={(TRACE, CALL): AROUND})
    spans = [tool(span_id=AROUND, tool_call_id="toolu_1"), tool(parent_id=AROUND)]
    told = [here.recognise(each) for each in (spans if outer_first else spans[::-1])]
    assert told == ["", "within" if outer_first else "wraps"]
    assert here.recognise(tool(tool="Read", span_id="0e" * 8, parent_id=AROUND)) == ""


@pytest.mark.parametrize("outer_first", [True, False])
def test_the_same_tool_within_itself_with_another_id_is_another_use(outer_first: bool) -> None:
    here = recent(parents={(TRACE, CALL): AROUND})
    spans = [tool(span_id=AROUND, tool_call_id="toolu_1"), tool(parent_id=AROUND, tool_call_id="toolu_2")]
    assert [here.recognise(each) for each in (spans if outer_first else spans[::-1])] == ["", ""]


# -- order and bounds


def test_passages_come_first_then_calls_from_the_inside_then_tools_then_sums():
    here = recent(parents={(TRACE, CALL): AROUND})
    passage = Observed(kind="passage", trace_id=TRACE, span_id="0f" * 8, started_ms=T)
    inner, around, event = seen(parent_id=AROUND), seen(span_id=AROUND), seen(span_id="")
    sums = seen(span_id="", of_many=True)
    pool = [sums, tool(), event, around, inner, passage]
    assert in_order(pool, here) == [passage, inner, around, event, tool(), sums]


def test_only_the_last_entries_are_remembered():
    here = Recent(most=10, most_spans=10)
    for number in range(100):
        each = ours(id=f"r-{number}", response_id=f"chatcmpl-{number:030}", trace=f"{TRACE}-{number:016x}")
        here.add(each)
        here.link({(TRACE, f"{number:016x}"): OUTER})
        here.recognise(seen(span_id=f"{number + 1000:016x}", parent_id=f"{number:016x}"))
    assert len(here) == 10
    assert here.recognise(seen(response_id=f"chatcmpl-{99:030}")) == "id"
    gone = seen(response_id=f"chatcmpl-{5:030}", span_id="0f" * 8, started_ms=T + 9_000_000)
    assert here.recognise(gone) == ""


def test_an_entry_counts_once_however_often_it_is_read():
    here = recent(OURS, OURS, OURS)
    assert len(here) == 1


@given(st.lists(st.integers(0, 6), max_size=30), st.randoms(use_true_random=False))
def test_in_any_order_and_however_often_each_call_is_recorded_once(numbers, chance):
    """Calls in spans within spans: the innermost is recorded, once."""
    spans = [f"{number + 1:016x}" for number in range(7)]
    here = recent(parents={(TRACE, spans[at]): spans[at + 1] for at in range(6)})
    recorded = []
    pool = [
        seen(span_id=spans[number], parent_id=spans[number + 1] if number < 6 else "", response_id="")
        for number in numbers
    ]
    chance.shuffle(pool)
    for number, each in enumerate(in_order(pool, here)):
        if not here.recognise(each):
            recorded.append(each.span_id)
            here.add(entry(each, f"r-{number}"))
    assert recorded == ([spans[min(numbers)]] if numbers else [])


def test_how_long_an_id_must_be():
    assert [is_strong(each) for each in ("chatcmpl-123", "call_0", "toolu_01AbCdEfGhIjKlMn")] == [
        False,
        False,
        True,
    ]

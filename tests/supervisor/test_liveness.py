"""When a server is looked at, and when it is judged hung: a pure decision over what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.supervisor.liveness import Health, Hung, Kind, LiveRules, Look, Probed, Pulse, Rest, judge

RULES = LiveRules(probe_every_s=5.0, retry_every_s=1.0, deep_every_s=60.0)
GOOD, SILENT, REFUSED, MUTE = Health.READY, Health.SILENT, Health.REFUSED, Health.NO_TOKENS


def seen(at_s: float, result: Health, kind: Kind = "health", cpu_s: float | None = 10.0) -> Probed:
    return Probed(at_s=at_s, kind=kind, result=result, cpu_s=cpu_s)


def pulse(now_s: float, *probes: Probed, **facts: object) -> Pulse:
    """Ready since second 0, without a call so far."""
    return Pulse(**{"now_s": now_s, "ready_s": 0.0, "worked_s": 0.0, "probes": probes, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(pulse(1.0), Rest(4.0), id="just ready: the first look after the usual time"),
        pytest.param(pulse(5.0), Look("health"), id="then it is due"),
        pytest.param(pulse(6.0, seen(5.0, GOOD)), Rest(4.0), id="a good look: the next as usual"),
        pytest.param(pulse(5.5, seen(5.0, SILENT)), Rest(0.5), id="a bad one: the next one soon"),
        pytest.param(pulse(6.0, seen(5.0, SILENT)), Look("health"), id="of the same kind"),
        pytest.param(pulse(62.0, seen(59.0, GOOD)), Rest(2.0), id="nothing to ask for a token"),
        pytest.param(
            pulse(62.0, seen(59.0, GOOD), can_generate=True),
            Look("deep"),
            id="a minute without a call that went well: does it generate?",
        ),
        pytest.param(
            pulse(62.0, seen(59.0, GOOD), can_generate=True, worked_s=50.0),
            Rest(2.0),
            id="a call went well meanwhile",
        ),
        pytest.param(pulse(3.0, suspect_s=2.0), Look("health"), id="a call broke: at once"),
        pytest.param(
            pulse(3.1, seen(3.0, GOOD), suspect_s=2.0, can_generate=True),
            Look("deep"),
            id="and whether it generates",
        ),
        pytest.param(
            pulse(
                3.2, seen(3.0, GOOD), seen(3.1, GOOD, "deep"), suspect_s=2.0, worked_s=3.1, can_generate=True
            ),
            Rest(4.9),
            id="it does: no more of it",
        ),
        pytest.param(pulse(20.0, silent_since_s=19.0), Rest(5.0), id="while a call goes on nobody asks"),
        pytest.param(
            pulse(20.0, silent_since_s=19.0, suspect_s=19.5), Look("health"), id="unless another one broke"
        ),
        pytest.param(pulse(120.0, silent_since_s=0.0), Look("health"), id="no sign of work for very long"),
        pytest.param(
            pulse(121.0, seen(120.5, GOOD), silent_since_s=0.0, can_generate=True),
            Look("deep"),
            id="it answers health: does it generate?",
        ),
    ],
)
def test_what_is_done_next(known: Pulse, expected: Look | Rest) -> None:
    result = judge(known, RULES)
    if isinstance(expected, Rest):
        assert isinstance(result, Rest)
        assert result.seconds == pytest.approx(expected.seconds)
    else:
        assert result == expected


@pytest.mark.parametrize("result", [SILENT, REFUSED, Health.ERROR, Health.LOADING])
def test_three_bad_answers_in_a_row_judge_an_idle_server_and_two_do_not(result: Health) -> None:
    probes = [seen(n, result) for n in (5.0, 6.0, 7.0)]
    assert isinstance(judge(pulse(7.0, *probes), RULES), Hung)
    assert not isinstance(judge(pulse(7.0, *probes[:2]), RULES), Hung)
    assert not isinstance(judge(pulse(7.5, probes[0], seen(6.5, GOOD), *probes[1:]), RULES), Hung)


def test_one_that_answers_health_and_generates_nothing_is_hung_after_three_deep_probes() -> None:
    probes: list[Probed] = []
    for n in range(3):
        known = pulse(100.0 + n, *probes, can_generate=True)
        assert judge(known, RULES) == Look("deep")
        probes.append(seen(100.0 + n, MUTE, "deep"))
    verdict = judge(pulse(103.0, *probes, can_generate=True), RULES)
    assert isinstance(verdict, Hung)
    assert verdict.reason == "it answered its health endpoint and generated nothing, 3 times in a row"


def test_good_health_between_does_not_excuse_one_that_generates_nothing() -> None:
    probes = [seen(100, MUTE, "deep"), seen(101, MUTE, "deep"), seen(102, GOOD), seen(103, MUTE, "deep")]
    assert isinstance(judge(pulse(103.0, *probes, can_generate=True), RULES), Hung)


def test_a_call_that_went_well_forgives_what_was_before() -> None:
    probes = [seen(n, SILENT) for n in (5.0, 6.0, 7.0)]
    assert not isinstance(judge(pulse(7.0, *probes, worked_s=6.5), RULES), Hung)


def test_a_slow_server_under_a_call_is_not_hung_while_it_computes() -> None:
    probes = [seen(200.0 + n, SILENT, cpu_s=10.0 + n) for n in range(3)]
    assert not isinstance(judge(pulse(203.0, *probes, silent_since_s=0.0), RULES), Hung)


def test_a_call_that_was_heard_lately_protects_a_server_that_answers_no_probe() -> None:
    probes = [seen(200.0 + n, SILENT) for n in range(5)]
    assert not isinstance(judge(pulse(204.0, *probes, silent_since_s=100.0), RULES), Hung)


def test_a_stalled_call_on_a_server_that_neither_computes_nor_answers_is_a_hang() -> None:
    probes = [seen(200.0 + n, SILENT) for n in range(3)]
    verdict = judge(pulse(203.0, *probes, silent_since_s=3.0), RULES)
    assert isinstance(verdict, Hung)
    assert "a call had shown no sign of work for 200 s" in verdict.reason


def test_a_stalled_call_on_a_server_whose_health_is_fine_is_no_hang_as_long_as_it_generates() -> None:
    probes: list[Probed] = []
    now_s = 200.0
    for _ in range(20):
        step = judge(pulse(now_s, *probes, silent_since_s=0.0, can_generate=True), RULES)
        assert not isinstance(step, Hung)
        if isinstance(step, Look):
            probes.append(seen(now_s, GOOD, step.kind))
        now_s += step.seconds if isinstance(step, Rest) else 0.01


@given(
    st.lists(
        st.builds(
            Probed,
            at_s=st.floats(0, 1000),
            kind=st.sampled_from(["health", "deep"]),
            result=st.sampled_from(Health),
            cpu_s=st.none() | st.floats(0, 100),
        ),
        max_size=20,
    ),
    st.none() | st.floats(0, 1000),
    st.none() | st.floats(0, 1000),
    st.booleans(),
)
def test_no_server_is_judged_by_less_than_three_bad_probes_and_it_never_rests_for_long(
    probes: list[Probed], silent_since_s: float | None, suspect_s: float | None, can_generate: bool
) -> None:
    probes.sort(key=lambda probed: probed.at_s)
    facts = {"silent_since_s": silent_since_s, "suspect_s": suspect_s, "can_generate": can_generate}
    verdict = judge(pulse(1000.0, *probes, **facts), RULES)
    if isinstance(verdict, Hung):
        assert sum(probed.result is not GOOD for probed in probes) >= 3
        assert silent_since_s is None or 1000 - silent_since_s >= 120
    if isinstance(verdict, Rest):
        assert 0 < verdict.seconds <= RULES.probe_every_s

"""What follows a failed attempt: another one, elsewhere or here, or the truth for the client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from freehold.core.errors import CallError
from freehold.gateway import refusals
from freehold.gateway.dying import ask_why
from freehold.gateway.error_answer import pass_error_on
from freehold.gateway.holding import first_stands
from freehold.routing.fallback import ELSEWHERE_STATUSES, Failure, after_failure

if TYPE_CHECKING:
    from freehold.gateway.call import Call

TIMED_OUT = "timed out: no byte from the upstream within"
_TICK_S = 0.002
"""The loop's clock counts whole milliseconds: a pause that the place asked for must be over by then."""


def refused(call: Call) -> None:
    """The upstream said no, and that was all of its answer."""
    bad = call.bad
    assert bad is not None
    error = bad.error(call.gateway.clock.now_ms())
    call.tries[-1].error = refusals.recorded_words(error)
    call.give_up_on(bad.failure(error), error)


def give_up_on(call: Call, failure: Failure, error: CallError) -> None:
    """The current candidate failed: again, elsewhere, or tell the client."""
    candidates = call.candidates
    call.gateway.went_wrong(candidates.current.name, failure)
    if unheard(call):
        call.nobody_waits()
        return
    step = after_failure(
        failure,
        policy=call.gateway.policy,
        tries_here=candidates.tries_here,
        tries=len(call.tries),
        more=candidates.more,
        elapsed_s=(time.perf_counter_ns() - call.started_ns) / 1e9,
    )
    if call.settled:
        return
    elsewhere = failure.status == 0 or failure.status in ELSEWHERE_STATUSES
    if call.beside is not None and call.beside.kind == "hedge" and elsewhere:  # it is under way already
        call.beside.take(f"{candidates.current.name} failed")
    elif step.action == "stop" and failure.status == 0 and not failure.timed_out:
        place = call.tries[-1].deployment
        ask_why(call, error.message, lambda words: tell(call, _in_words(error, place, words)))
    elif step.action == "stop":
        tell(call, error)
    elif step.action == "elsewhere":
        call.go_on("failed")
    elif first_stands(call):  # there is an answer: nobody waits for a second one that was only to be compared
        tell(call, error)
    else:
        call.again_in(step.wait_s + _TICK_S if step.wait_s else 0.0)


def expired(call: Call) -> None:
    """The attempt, or the wait for something else, took too long."""
    call.deadline_s = 0.0
    if call.following is not None:
        call.following.give_up()
        return
    if call.money is not None and call.money.waiting:
        call.money.expire()
        return
    if call.signs is not None and call.signs.waiting:
        call.signs.stop()
        call.pass_over(refusals.not_ready_in_time(call.gateway.limits.load_wait_s), "is busy")
        return
    timeout_s = call.target.timeout_s if call.target else 0
    call.give_back(failed=True)
    call.drop_attempt()
    call.failed(f"{TIMED_OUT} {timeout_s:g} s")


def _in_words(error: CallError, place: str, words: str) -> CallError:
    said = words if words == error.message else f"{place}: {words}"
    return msgspec.structs.replace(error, message=said)


def unheard(call: Call) -> bool:
    """Whether nobody is there who would hear another attempt's answer."""
    return call.flight is not None and not call.flight.leading and not call.flight.followers


def tell(call: Call, error: CallError) -> None:
    """Every attempt failed: the upstream's own words where the dialect is the same, else ours."""
    bad = call.bad
    same = call.prepared is not None and call.prepared.context is None
    if call.beside is not None and call.beside.kind == "held":
        call.refuse(error)
    elif bad is not None and bad.passes and same and error.source == "upstream" and call.signs_silent():
        pass_error_on(call, error, bad)
    else:
        call.refuse(error)

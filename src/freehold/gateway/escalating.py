"""An answer that was not good enough goes one tier up, as long as the client has seen nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.gateway import agreeing
from freehold.gateway.checking import Checking
from freehold.gateway.climb import Climb
from freehold.gateway.failing import unheard
from freehold.gateway.holding import first_stands, forget_answer, higher, hold, let_go
from freehold.gateway.judge import Judge
from freehold.routing.validating import Verdict, calls_tools, check_for, document_of, words_of

if TYPE_CHECKING:
    from freehold.gateway.call import Call
    from freehold.gateway.relay import Relay
    from freehold.routing.router import Router
    from freehold.routing.world import Check


def judge_for(call: Call, *, streamed: bool) -> Judge | None:
    """Who judges the answer that has just begun; None: it goes to the client in any case."""
    climb, router, prepared = call.climb, call.gateway.router, call.prepared
    if climb is None or climb.final or router is None or prepared is None:
        return None
    if call.endpoint.carriage != "dialect":
        return None
    if not router.rules.escalate or climb.routed.ask.critical or not call.signs_silent():
        return None
    if not higher(call, climb, router):
        return None
    holds = (not streamed or router.rules.hold_streams) and (
        _check_of(call, climb, router) is not None or agreeing.compares(call, climb, router)
    )
    return Judge(call.request.body, prepared.dialect, prepared.context, streamed=streamed, holds=holds)


def passes(call: Call, relay: Relay, data: bytes) -> bool:
    """A piece of an answer that is judged; False when the call has gone up instead."""
    judge = relay.judge
    assert judge is not None
    why = judge.feed(data)
    if why and _go_up(call, relay, judge, why):
        return False
    if judge.holds:
        if judge.over:
            let_go(call, relay)
        return False
    if judge.over:
        relay.judge = None
    return True


def passes_whole(call: Call, relay: Relay) -> bool:
    """The judged answer has come to its end; False when the call has gone up instead, or is to be checked
    first."""
    judge = relay.judge
    assert judge is not None
    why = judge.whole()
    if why and _go_up(call, relay, judge, why):
        return False
    if not why and judge.holds and (_checks(call, relay, judge) or agreeing.weighs(call, relay, judge)):
        return False
    if judge.holds:
        return let_go(call, relay)
    relay.judge = None
    return True


def _check_of(call: Call, climb: Climb, router: Router) -> Check | None:
    """Who checks the answers to this call; None: nobody."""
    if call.gateway.validators is None:
        return None
    return check_for(router.rules.checks, climb.routed.decision.task)


def _checks(call: Call, relay: Relay, judge: Judge) -> bool:
    """Have the answer that is held checked. False: nobody does that. Answers that call tools are steps on the
    way, of which a validator of answers knows nothing."""
    climb, router, validators, answer = call.climb, call.gateway.router, call.gateway.validators, judge.answer
    if climb is None or router is None or validators is None or answer is None or calls_tools(answer):
        return False
    check = _check_of(call, climb, router)
    if check is None:
        return False
    call.heard = False  # from here on the bounds of the check count, not those of the upstream
    task, name = climb.routed.decision.task, call.candidates.current.name
    document = document_of(call.request.body, answer, task=task, deployment=name, receipt=call.id)
    climb.checking = Checking(
        call.gateway,
        validators.check(check, document),
        lambda verdict: _checked(call, relay, judge, verdict),
    )
    return True


def _checked(call: Call, relay: Relay, judge: Judge, verdict: Verdict) -> None:
    """What the validator says of the answer that is held: it is given, or the call goes up."""
    climb, router, name = call.climb, call.gateway.router, call.candidates.current.name
    if climb is None or call.settled:
        return
    climb.checking = None
    if verdict.good is not None and router is not None:
        router.checked(climb.routed, name, call.id, good=verdict.good)
    if verdict.good is False and _go_up(call, relay, judge, words_of(verdict), counted=True):
        return
    if verdict.good is False:
        call.kept = None  # nobody better is there, but it is not worth keeping
    call.route = f"{call.route}; {name} {words_of(verdict)}"
    if verdict.good is None and agreeing.weighs(call, relay, judge):
        return
    if let_go(call, relay):
        relay.end()


def _go_up(call: Call, relay: Relay, judge: Judge, why: str, *, counted: bool = False) -> bool:
    """Ask one tier up. False when nobody is left there: the answer has to do. `counted`: the router knows
    already that it was not good enough."""
    climb, router = call.climb, call.gateway.router
    if climb is None or router is None or call.settled or unheard(call):
        return False
    above = higher(call, climb, router)
    if not above and not first_stands(call):
        return False
    name = call.candidates.current.name
    call.tries[-1].error = f"not good enough: {why}"
    if not counted:
        router.insufficient(climb.routed, name, call.id)
    if agreeing.falls_back(call, relay, judge, why):
        return True
    climb.failed = (*climb.failed, name)
    hold(call, relay, judge)
    forget_answer(call)
    call.candidates.follow_with(above)
    call.go_on(why)
    return True


def brings_back(call: Call) -> bool:
    """Nothing better is to be had: give the client the answer that was held back. False: there is none."""
    held, climb = call.beside, call.climb
    if held is None or climb is None or held.kind != "held" or unheard(call):
        return False
    if not call.signs_silent() and not held.streamed:
        return False
    call.stop_waiting()
    climb.final = True
    call.kept = None  # it is not worth keeping
    held.take(f"the answer of {held.tried.deployment} after all")
    call.candidates.follow_with(())
    held.replay()
    return True

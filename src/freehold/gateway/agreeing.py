"""The answers of two local places held against each other, before the client sees one. What they are worth
together is decided in `routing.jury`; this asks the second place, gives the better answer, or goes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.dialects.conversation import Answer, Text
from freehold.gateway.deciding import standing_now
from freehold.gateway.failing import unheard
from freehold.gateway.holding import first_stands, forget_answer, higher, hold

if TYPE_CHECKING:
    from freehold.core.catalog import Deployment
    from freehold.gateway.beside import Beside
    from freehold.gateway.call import Call
    from freehold.gateway.climb import Climb
    from freehold.gateway.judge import Judge
    from freehold.gateway.relay import Relay
    from freehold.routing.jury import Jury, Weighing
    from freehold.routing.learn.answers import GivenAnswer
    from freehold.routing.learn.cascade import Further
    from freehold.routing.router import Router
    from freehold.routing.world import Considered


def compares(call: Call, climb: Climb, router: Router) -> bool:
    """Whether the answer of the current place, which has just begun, is to be held against another's. Where
    only the other is missing, the route says so."""
    if not _wanted(call, climb, router):
        return False
    if climb.given or _peers(call, climb, router):
        return True
    call.route = f"{call.route}; not compared: no other local model is loaded and free"
    return False


def _wanted(call: Call, climb: Climb, router: Router) -> bool:
    if not router.rules.agree or not router.compares(climb.routed):
        return False
    here = _considered(climb).get(call.candidates.current.name)
    return here is not None and here.tier == "local" and len(climb.given) <= 1


def weighs(call: Call, relay: Relay, judge: Judge) -> bool:
    """A whole answer that is held and seen to be no bad one. True: something else goes on than giving it."""
    climb, router, answer = call.climb, call.gateway.router, judge.answer
    if climb is None or router is None or answer is None or not _wanted(call, climb, router):
        return False
    if not (climb.given or _peers(call, climb, router)):
        return False
    jury = router.jury
    if jury is None or unheard(call):
        return False
    weighing = _weighed(call, climb, router, jury, answer)
    if weighing is None:
        call.route = f"{call.route}; not compared: the answer does not come down to something short"
        return False
    if len(climb.given) == 1:
        return weighing.action == "ask" and _ask_peer(call, relay, judge, weighing.deployment)
    if weighing.action == "ask":
        return _ask_higher(call, relay, judge, weighing)
    return _give_best(call, relay, judge, weighing)


def falls_back(call: Call, relay: Relay, judge: Judge, why: str) -> bool:
    """The second answer is plainly not good enough, and says nothing of the first: that one is given. False:
    there is no such answer."""
    first = call.beside
    if first is None or not first_stands(call):
        return False
    _give_first(
        call, relay, judge, f"{call.candidates.current.name} {why}; {first.tried.deployment} answered"
    )
    return True


def _weighed(call: Call, climb: Climb, router: Router, jury: Jury, answer: Answer) -> Weighing | None:
    """None: there is nothing in the first answer that another could be held against."""
    from freehold.routing.jury import comparable, price_of_wrong_usd  # noqa: PLC0415 - it is there already

    given = (*climb.given, _given(call, climb, answer))
    if not comparable(given[0].text):
        return None
    climb.given = given
    ask, decision = climb.routed.ask, climb.routed.decision
    learner = router.learner
    features = None if learner is None or not ask.prompt else learner.features(ask.prompt, decision.task)
    further = _further(call, climb, router)
    best = max([one for one in further if not one.peer], key=lambda one: one.chance, default=None)
    weighing = jury.weigh(features, given, further, price_of_wrong_usd(router.rules.quality, best))
    jury.remember(call.id, features, given, weighing)
    return weighing


def _given(call: Call, climb: Climb, answer: Answer) -> GivenAnswer:
    from freehold.routing.learn.answers import GivenAnswer  # noqa: PLC0415 - as above

    name = call.candidates.current.name
    text = "".join([part.text for part in answer.parts if isinstance(part, Text)])
    return GivenAnswer(
        deployment=name,
        text=text,
        out_tokens=float(answer.usage.output_total or len(text) // 4),
        belief=_considered(climb)[name].belief,
    )


def _further(call: Call, climb: Climb, router: Router) -> list[Further]:
    """Who could be asked, at what its price and the waiting for it come to."""
    from freehold.routing.learn.cascade import Further  # noqa: PLC0415 - as above

    known = _considered(climb)
    peers = _peers(call, climb, router) if len(climb.given) == 1 else ()
    return [
        Further(
            deployment=place.name,
            chance=known[place.name].belief if place in peers else known[place.name].chance,
            usd=known[place.name].weight / 1e9,
            peer=place in peers,
        )
        for place in (*peers, *higher(call, climb, router))
    ]


def _considered(climb: Climb) -> dict[str, Considered]:
    return {one.name: one for one in climb.routed.decision.considered}


def _peers(call: Call, climb: Climb, router: Router) -> tuple[Deployment, ...]:
    """Other local models that could answer now: nobody is loaded, or waited for, to compare."""
    known, gateway, now_ms = _considered(climb), call.gateway, call.started_ms
    here = call.candidates.current.name
    model = next((place.model for place in router.places if place.name == here), "")
    found: list[Deployment] = []
    for place in router.places:
        one = known.get(place.name)
        if one is None or one.tier != "local" or one.excluded or one.price_nanos is None:
            continue
        if place.name == here or place.name in climb.failed or (model and place.model == model):
            continue
        standing = standing_now(gateway, place.deployment, now_ms)
        free = standing.outstanding < standing.slots or place.deployment.server is None
        if not standing.barred and standing.loaded is not False and free:
            found.append(place.deployment)
    return tuple(found)


def _ask_peer(call: Call, relay: Relay, judge: Judge, name: str) -> bool:
    """Keep the first answer, and ask another local place."""
    climb, router = call.climb, call.gateway.router
    assert climb is not None and router is not None
    peer = next(place for place in _peers(call, climb, router) if place.name == name)
    hold(call, relay, judge)
    forget_answer(call)
    call.candidates.follow_with((peer,))
    call.go_on(f"answered, asked {name} too")
    return True


def _ask_higher(call: Call, relay: Relay, judge: Judge, weighing: Weighing) -> bool:
    """Both answers together are not sure enough: one tier up is asked, and the better of both kept."""
    climb, router, first = call.climb, call.gateway.router, call.beside
    if climb is None or router is None or first is None:
        return False
    above = higher(call, climb, router)
    name, other = call.candidates.current.name, first.tried.deployment
    agree = weighing.pattern == "agree"
    words = f"agrees with {other}, which is not sure enough" if agree else f"disagrees with {other}"
    second = _set_aside(call, relay, judge)
    first.tried.error = second.tried.error = "not sure enough" if agree else "another place disagrees"
    kept, dropped = (first, second) if weighing.best == 0 else (second, first)
    dropped.drop("")
    call.beside = kept
    climb.failed = (*climb.failed, other, name)
    router.escalations += 1
    call.candidates.follow_with(tuple(sorted(above, key=lambda place: place.name != weighing.deployment)))
    call.go_on(f"{words}; asked {weighing.deployment}")
    return True


def _give_best(call: Call, relay: Relay, judge: Judge, weighing: Weighing) -> bool:
    """Nobody else is asked. False: the current answer is the one to give."""
    first, name = call.beside, call.candidates.current.name
    if first is None:
        return False
    other = first.tried.deployment
    if weighing.pattern == "agree":
        words = f"{name} agrees with {other}"
    else:
        words = f"{name} disagrees with {other}; {(other, name)[weighing.best]} is more probably right"
    if weighing.best == 1:
        call.route = f"{call.route}; {words}"
        return False
    _give_first(call, relay, judge, words)
    return True


def _give_first(call: Call, relay: Relay, judge: Judge, words: str) -> None:
    """The answer that was held is the call's, and the current one is only paid."""
    first, climb = call.beside, call.climb
    assert first is not None and climb is not None
    second = _set_aside(call, relay, judge)
    climb.final = True
    first.take(words)
    call.beside = second
    first.replay()


def _set_aside(call: Call, relay: Relay, judge: Judge) -> Beside:
    """The current answer, beside the call; the one that was there before is the caller's now."""
    call.beside = None
    hold(call, relay, judge)
    second = call.beside
    assert second is not None
    call.beside = None
    forget_answer(call)
    return second

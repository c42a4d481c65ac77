"""One upstream for identical calls under way, and for a call that is made again after it was cut off.

A call is shared when nothing in its answer is left to chance and it has no tools: `join` finds the one that
is under way, or makes this one findable. Calls that name a session are recorded besides, so that the same
turn posted again soon after its client left goes on with the answer that is being paid already; until then
that answer goes on without a client. What a follower does is in `following`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.cache.flights import About, Flight, Flights
from freehold.cache.keys import Asked, Keyed, key_of, scope_of, without_chance
from freehold.cache.parts import Unkept
from freehold.cache.retries import Orphan, Retries
from freehold.gateway.cached import bound_agent
from freehold.gateway.deaf import nobody
from freehold.gateway.following import Following
from freehold.gateway.peek import may_be_fixed

if TYPE_CHECKING:
    from freehold.gateway.call import Call
    from freehold.gateway.gateway import Gateway

_SALT = b"calls under way"
_ASK_ITSELF = ("off", "refresh")
"""What a caller says of kept answers that also forbids those of others."""
_CRITICAL = b"x-freehold-critical"


class Sharing:
    """The owner of the answers that have, or may get, more readers than one."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.retries = Retries()

    def sweep(self, gateway: Gateway) -> None:
        """Stop the answers that nobody has come back for, or whose slot somebody else waits for."""
        if not len(self.retries):
            return
        for orphan in self.retries.due(gateway.clock.now_ms()):
            _stop(orphan)
        for orphan in self.retries.under_way():
            if _in_the_way(gateway, orphan):
                self.retries.drop(orphan)
                _stop(orphan)

    def stop(self) -> None:
        """Nobody will come back any more."""
        for orphan in self.retries.under_way():
            self.retries.drop(orphan)
            _stop(orphan)


def join(call: Call, sharing: Sharing) -> bool:
    """Follow the answer of an equal call. False: there is none, and others may follow this one."""
    facts, endpoint = call.facts, call.endpoint
    if endpoint.carriage not in ("dialect", "openai") or facts.cache_mode in _ASK_ITSELF:
        return False
    session = facts.caller.session
    if session and sharing.retries.waiting(session) and _resume(call, sharing):
        return True
    body = call.request.body
    if may_be_fixed(call.seen, endpoint.name):
        about = _about(call)
        if sharing.flights.may_match(body):
            found = _find(call, sharing, about)
            if found is not None:
                Following(call, found, "shared").begin()
                return True
        flight = _record(call, about)
        sharing.flights.open(flight)
    elif session and endpoint.carriage == "dialect":
        _record(call, ())
    return False


def doubt(call: Call, sharing: Sharing) -> None:
    """The client says nothing more, and may be gone: the same turn again may come before that shows."""
    flight = call.flight
    if flight is not None and flight.key is None and call.upstream is not None and not call.settled:
        _await_retry(call, sharing, flight)


def goes_on(call: Call, sharing: Sharing | None) -> bool:
    """The call's client is gone: whether its answer goes on, for those who follow it or for the same turn
    again."""
    flight = call.flight
    if flight is None or call.settled:
        return False
    if not flight.followers and (
        sharing is None or call.upstream is None or not _await_retry(call, sharing, flight)
    ):
        return False
    flight.leading = False
    call.conn = nobody(call.gateway, call.gateway.loop, call.request)
    if call.upstream is not None:
        call.upstream.resume()
    return True


def leave_again(following: Following, sharing: Sharing | None) -> None:
    """The second client has gone, too: a third one may come."""
    flight, call = following.flight, following.call
    if (
        sharing is not None
        and following.kind == "resumed"
        and flight.key is not None
        and flight.ending != "lost"
    ):
        session, now_ms = call.facts.caller.session, call.gateway.clock.now_ms()
        sharing.retries.left(flight.key, session, flight, now_ms)
        if following in flight.followers:
            flight.followers.remove(following)
        return
    flight.leave(following)


# -- inside


def _record(call: Call, about: About) -> Flight:
    captured = call.captured
    if captured is None:
        captured = call.captured = []
    flight = call.flight = Flight(call.request.body, about, call, call.id, captured)
    return flight


def _about(call: Call) -> About:
    caller = call.facts.caller
    critical = _CRITICAL in call.request.lookup
    agent = bound_agent(call)
    return (
        call.request.target,
        call.facts.features,
        call.key_name,
        caller.project,
        caller.task,
        agent,
        critical,
    )


def _find(call: Call, sharing: Sharing, about: About) -> Flight | None:
    """The equal call under way whose answer this one may have."""
    keyed: Keyed | None = None
    for flight in sharing.flights.alike(call.request.body, about):
        if keyed is None:
            found = _keyed(call, call.request.body, told=False)
            if isinstance(found, Unkept) or not _shareable(call.endpoint.name, found):
                return None
            keyed = found
        if flight.body == call.request.body:
            return flight
        if flight.key is None:
            other = _keyed(call, flight.body, told=False)
            if isinstance(other, Unkept):
                continue
            flight.key, flight.form = other.key, other.form
        if flight.key == keyed.key and flight.form == keyed.form:
            return flight
    return None


def _shareable(endpoint: str, keyed: Keyed) -> bool:
    document = keyed.document
    if document.get("tools") or document.get("functions"):
        return False
    return without_chance(endpoint, document)


def _keyed(call: Call, body: bytes, *, told: bool) -> Keyed | Unkept:
    """`told`: tools that the provider runs do not matter."""
    asked = Asked(
        endpoint=call.endpoint.name,
        body=body,
        route=call.request.target,
        headers=call.facts.features,
        scope=scope_of(call.key_name, call.facts.caller.project, shared=False),
    )
    return key_of(asked, salt=_SALT, tools="*" if told else ())


def _await_retry(call: Call, sharing: Sharing, flight: Flight) -> bool:
    session = call.facts.caller.session
    keyed = _keyed(call, call.request.body, told=True) if session else None
    if not isinstance(keyed, Keyed):
        return False
    flight.key, flight.form = keyed.key, keyed.form
    return sharing.retries.left(keyed.key, session, flight, call.gateway.clock.now_ms()) is not None


def _resume(call: Call, sharing: Sharing) -> bool:
    keyed = _keyed(call, call.request.body, told=True)
    if not isinstance(keyed, Keyed):
        return False
    session, now_ms = call.facts.caller.session, call.gateway.clock.now_ms()
    orphan = sharing.retries.claim(keyed.key, session, now_ms)
    if orphan is None or (orphan.flight.ending and orphan.flight.stored is None):
        return False
    if keyed.form not in ("whole", orphan.flight.form):
        _stop(orphan)
        return False
    Following(call, orphan.flight, "resumed", gathers=keyed.form != orphan.flight.form).begin()
    if orphan.flight.leading and not orphan.flight.ending:
        orphan.flight.leader.replaced()
    return True


def _stop(orphan: Orphan) -> None:
    flight = orphan.flight
    if not (flight.ending or flight.followers or flight.leading):
        flight.leader.nobody_waits()


def _in_the_way(gateway: Gateway, orphan: Orphan) -> bool:
    """Whether a server of ours works for nobody while somebody waits."""
    server = orphan.flight.leader.serving
    if not server or orphan.flight.followers:
        return False
    try:
        return gateway.servers.load(server).queued > 0
    except KeyError:
        return False

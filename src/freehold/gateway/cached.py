"""Answers that need no model: looked for before a place is chosen, kept when a model has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.cache.answers import Ask, Hit, Said, Ticket
from freehold.cache.keys import route_label
from freehold.cache.modes import nothing_kept
from freehold.cache.parts import Unkept
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.kept import Kept
from freehold.gateway.record import Measured
from freehold.routing.outcomes import kind_of

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_NOT_HERE = "this house keeps no answers"


def look(call: Call) -> bool:
    """Answer the call without a model, if that can be. False: it goes on, and its answer may be kept."""
    gateway, facts = call.gateway, call.facts
    answers, mode, asked = gateway.answers, facts.cache_mode, call.seen.model
    if answers is None or not asked or call.endpoint.carriage not in ("dialect", "openai"):
        return _nothing(call, _NOT_HERE if answers is None else "calls of this kind are not kept")
    if not answers.serves(asked, facts.caller.agent, mode):
        return False
    ask = Ask(
        endpoint=call.endpoint.name,
        body=call.request.body,
        model=asked,
        route=route_of(call, asked),
        headers=facts.features,
        mode=mode,
        agent=facts.caller.agent,
        key_name=call.key_name,
        project=facts.caller.project,
    )
    now_ms = gateway.clock.now_ms()
    found = answers.look(ask, now_ms)
    if isinstance(found, Unkept):
        return _nothing(call, found.reason)
    if isinstance(found, Hit):
        replay(call, found)
        return True
    ticket = found
    if ticket.waits:
        kept = call.kept = Kept(ticket, None)
        kept.searching = True
        kept.search(answers.wait(ticket, now_ms, lambda hit: _searched(call, ticket, hit)))
        return True
    return _missed(call, ticket)


def route_of(call: Call, asked: str) -> bytes:
    """What a name stands for now; where the choice is left to us, also what the call says that moves it."""
    gateway = call.gateway
    router = gateway.router
    if router is not None and router.takes(asked):
        said = (
            call.facts.caller.task,
            bound_agent(call),
            "critical" if b"x-freehold-critical" in call.request.lookup else "",
        )
        return route_label(asked, [place.deployment for place in router.places], said)
    return gateway.label_of(asked)


def bound_agent(call: Call) -> str:
    """The agent, where the configuration says what it is for; empty where it moves no choice."""
    router, agent = call.gateway.router, call.facts.caller.agent
    if router is None or not agent:
        return ""
    return next((name for name in (agent, kind_of(agent)) if name in router.rules.tasks), "")


def _searched(call: Call, ticket: Ticket, hit: Hit | None) -> None:
    if call.kept is not None:
        call.kept.found()
    if call.settled:
        return
    if hit is not None:
        replay(call, hit)
    elif not _missed(call, ticket):
        call.proceed()


def _missed(call: Call, ticket: Ticket) -> bool:
    if call.facts.cache_mode == "only":
        call.refuse(nothing_kept("nobody has asked this here lately"))
        return True
    call.kept = Kept(ticket, None)
    if call.captured is None:
        call.captured = []
    return False


def _nothing(call: Call, reason: str) -> bool:
    if call.facts.cache_mode != "only":
        return False
    call.refuse(nothing_kept(reason))
    return True


def keep(call: Call, measured: Measured) -> None:
    """A model has answered whole: the next one who asks the same need not ask it."""
    kept, relay, answers = call.kept, call.relay, call.gateway.answers
    ticket = kept.ticket if kept is not None else None
    if ticket is None or relay is None or answers is None or not call.signs_silent():
        return
    lines = list(relay.passed_headers())
    if call.losses:
        lines.append((b"x-freehold-lossy", passing.safe_value(", ".join(call.losses))))
    said = Said(
        status=call.status,
        headers=tuple(lines),
        body=b"".join(call.captured or ()),
        receipt=call.id,
        deployment=call.tries[-1].deployment,
        model=relay.tap.model,
        finish=relay.tap.finish,
        usage=measured.usage,
        cost_nanos=measured.cost_nanos,
    )
    answers.keep(ticket, said, call.gateway.clock.now_ms())


def replay(call: Call, hit: Hit) -> None:
    """Give the kept answer: whole, or as the stream that it was."""
    from freehold.gateway.settle import settle  # noqa: PLC0415 - the exit door knows this module

    stored = hit.stored
    call.kept = Kept(None, hit)
    call.route = f"cached ({hit.kind}), the answer of {stored.receipt}"
    call.status = stored.status
    call.count_response(stored.body)
    settle(call, "ok", then=lambda: _send(call, hit))


def _send(call: Call, hit: Hit) -> None:
    stored, request = hit.stored, call.request
    chunked = stored.form != "whole" and not request.http10
    lines = [
        *stored.headers,
        (b"x-freehold-receipt", call.id.encode()),
        (b"x-freehold-deployment", passing.safe_value(stored.deployment)),
        (b"x-freehold-route", passing.safe_value(call.route)),
        (b"x-freehold-cache", b"hit"),
        (b"age", b"%d" % hit.age_s),
    ]
    if chunked:
        lines.append((b"transfer-encoding", b"chunked"))
    else:
        lines.append((b"content-length", b"%d" % len(stored.body)))
    if not request.keep_alive:
        lines.append((b"connection", b"close"))
    body = replies.chunk(stored.body) + replies.LAST_CHUNK if chunked else stored.body
    call.conn.write(replies.head(stored.status, lines) + body)
    call.conn.done()
    call.release()

"""What a choice is made from and what comes out of it: plain values.

Deciding is `auto`; what is known of models in general is `abilities`; chances are `outcomes`. Money is
integer nano-USD, rates are nano-USD per million tokens, times are seconds unless a name says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.core.catalog import Deployment, Dialect
from freehold.core.config_routing import Route, Tier

PER = 1_000_000
"""Tokens that a rate is for."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of whoever answers it."""

    tools: bool = False
    vision: bool = False
    audio: bool = False
    json: bool = False
    native: Dialect | None = None
    """It uses what only an upstream that itself speaks this dialect can do (hosted tools, stored state)."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as its head and body tell. `reading.read_ask` makes it."""

    model: str = "auto"
    task: str = ""
    """`x-freehold-task`."""
    agent: str = ""
    session: str = ""
    guess: str = ""
    """The kind of task as recognised from the prompt; only used when nobody said one."""
    prompt: str = ""
    """A sample: the newest thing that was said."""
    question: int = 0
    """Names the newest message, when a person's words stand last; 0: something else does."""
    needs: Needs = Needs()
    input_tokens: int = 0
    output_tokens: int = 500
    """Expected of the answer."""
    most_out: int | None = None
    """Allowed, where the client said so."""
    prefix: bytes = b""
    """Names the beginning of the prompt: requests with the same one share a cache."""
    critical: bool = False
    streamed: bool = False
    """The client wants the answer as it comes."""
    max_wait_s: float | None = None
    failed: tuple[str, ...] = ()
    """Deployments whose answer to this very question was not good enough."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment's tokens cost, nano-USD per million; for our own servers power and wear."""

    fresh_in: int = 0
    cache_read: int = 0
    out: int = 0
    per_call: int = 0
    """Nano-USD for each call."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment can take. None and 0: nobody knows."""

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    json: bool | None = None
    context: int = 0
    """Tokens of prompt and answer together."""
    native: frozenset[Dialect] = frozenset(("chat",))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that takes part; the same until configuration, catalog or prices change."""

    deployment: Deployment
    tier: Tier
    able: Abilities = Abilities()
    rates: Rates | None = None
    """None: nobody knows."""
    model: str = ""
    """What is loaded there, by one name for all places that have it."""
    auto: bool = True
    """It may answer `model: auto`; False: only names that list it."""
    cache_s: float = 300.0
    """How long the beginning of a prompt stays cheap after a call."""

    @property
    def name(self) -> str:
        return self.deployment.name


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a place is doing right now."""

    barred: str = ""
    """Why it may not be asked: it rests, its limit is nearly used up, ... Empty: it may."""
    loaded: bool | None = None
    """None: nobody knows (a provider always counts as loaded)."""
    wait_s: float = 0.0
    """Until it can begin: loading and the queue."""
    outstanding: int = 0
    """Calls that it works on or that wait for it."""
    slots: int = 1
    first_s: float | None = None
    """Usual seconds from then to the first byte."""
    tokens_per_s: float | None = None
    """Usual speed of an answer."""
    rates: Rates | None = None
    """What its tokens have cost lately, where that is measured (power and wear); goes before the place's."""


class Belief(msgspec.Struct, frozen=True):
    """A chance of a good answer: its mean, how far it may be off, and how many outcomes it rests on."""

    mean: float
    deviation: float
    trials: float = 0.0


class Sticky(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session was answered last."""

    deployment: str
    tokens: int = 0
    """Of prompt and answer: what its cache may still hold."""
    at_ms: int = 0
    task: str = ""
    question: int = 0
    """Of the newest message then; see `Ask.question`."""
    prefix: bytes = b""
    """What stood before it; see `Ask.prefix`."""
    receipt: str = ""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything around a call, at one moment. Deployments by name; what is missing is unknown."""

    places: tuple[Place, ...]
    standings: Mapping[str, Standing] = {}
    beliefs: Mapping[str, Belief] = {}
    """Of this kind of task; where there is none, what is usual for a tier counts (`outcomes.usual`)."""
    sticky: Sticky | None = None
    """Of this session, while it holds."""
    budget_left_nanos: int | None = None
    """The tightest hard budget that the call is under; None: there is none."""
    now_ms: int = 0


class AliasRule(msgspec.Struct, frozen=True):
    """A name of the user's own, and how it picks among its candidates."""

    route: Route
    candidates: tuple[str, ...]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A program that says whether an answer is good."""

    command: tuple[str, ...]
    timeout_s: float = 10.0


class RoutingRules(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration, as far as a choice needs it."""

    quality: float = 0.95
    tasks: Mapping[str, str] = {}
    aliases: Mapping[str, AliasRule] = {}
    explore: float = 0.02
    escalate: bool = True
    checks: Mapping[str, Check] = {}
    """By kind of task, who checks answers before they are given; `*`: all other kinds."""
    agree: frozenset[str] = frozenset()
    """Kinds of task, or names, for which the answers of two local places are compared; `*`: all."""
    hold_streams: bool = False
    """Streams, too, are held back until the whole answer is checked or compared."""
    second_nanos: int = 33_333
    """What a second of waiting is worth."""
    sticky_s: float = 1800.0
    baseline: str = ""


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One place, as it looked for this call."""

    name: str
    tier: Tier
    chance: float
    """That the answer is good, an escalation from here included."""
    belief: float = 0.0
    """That its own answer is good."""
    deviation: float = 0.0
    """How far that may be off."""
    trials: float = 0.0
    price_nanos: int | None = None
    """Of this call, at the tokens that were expected; None: nobody knows."""
    wait_s: float = 0.0
    """Until the whole answer is there, as far as is known."""
    weight: float = 0.0
    """What is compared: the price and the waiting together, in nano-USD."""
    excluded: str = ""
    """Why it may not be chosen, in words; empty: it may."""
    never: Literal["", "unable", "too long"] = ""
    """The same call can never be taken there: for what it needs, or for its length."""
    unwanted: bool = False
    """Its only fault is its tier: the call begins higher."""
    passes: bool = False
    """Its chance is near enough to the best one's."""
    doubts: tuple[str, ...] = ()
    """What the call needs and nobody knows whether it can."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to be asked, in this order, and why. No candidates: `reason` says why there is none."""

    candidates: tuple[Deployment, ...]
    reason: str
    task: str
    """The kind of task that was assumed; empty: none."""
    quality: float
    """The chance that was demanded: `quality` times the best one."""
    considered: tuple[Considered, ...] = ()
    """Every place, those that were excluded too, in the order of the world."""
    explored: bool = False
    """The first is asked to learn: as far as is known it is not good enough, but it may be."""


def dollars(nanos: int | None) -> str:
    """`$0.0021`: two digits that say something, and no sum is smaller than it is."""
    if nanos is None:
        return "unknown"
    usd = nanos / 1e9
    if not nanos:
        return "$0"
    if usd >= 1:
        return f"${usd:.2f}"
    digits = max(2, 1 - math.floor(math.log10(usd)))
    whole, _, parts = f"{usd:.{min(9, digits)}f}".partition(".")
    return f"${whole}.{parts.rstrip('0'):0<2}"


def about(nanos: int | None) -> str:
    """For a sentence: `about $0.0021`, `free`, `price unknown`."""
    if nanos is None:
        return "price unknown"
    return f"about {dollars(nanos)}" if nanos else "free"

"""The `tiers:` and `routing:` parts of `freehold.yaml`, and their rules. Pure: values in, problems out.

What becomes of them is decided in `routing`; this module only says what can be said, and what is a mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta, field

from freehold.core.config_server_checks import Problem
from freehold.core.config_servers import Duration, Share, Word

Tier = Literal["local", "balanced", "premium"]
TIERS: tuple[Tier, ...] = ("local", "balanced", "premium")
"""In order of cost."""
Route = Literal["order", "auto", "fastest", "cheapest", "balance"]
"""How an alias picks among its candidates."""
Part = Annotated[float, Meta(ge=0, le=1)]
Usd = Annotated[float, Meta(ge=0, le=1e9)]

LONGEST_CHECK_S = 300.0
AUTO = "auto"
"""The model that clients ask for when Freehold shall choose."""


class TiersConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may answer `model: auto`, in three steps of cost. Without it: servers of ours are local, the
    models that providers list by name are sorted by price."""

    local: Annotated[
        tuple[Word, ...],
        Meta(description="Servers, or models of providers in the house.", examples=[["qwen"]]),
    ] = ()
    balanced: Annotated[
        tuple[Word, ...],
        Meta(description="Models that are good and cheap.", examples=[["openai/gpt-5-mini"]]),
    ] = ()
    premium: Annotated[
        tuple[Word, ...],
        Meta(description="The best, for what needs them.", examples=[["anthropic/claude-opus-4-5"]]),
    ] = ()

    def named(self) -> Iterator[tuple[Tier, int, str]]:
        """(tier, position, name) of everything that is named, in order."""
        for tier in TIERS:
            for position, name in enumerate(getattr(self, tier)):
                yield tier, position, name


class ShadowConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some calls are also put to a cheaper model, out of the client's sight, to learn what it could do."""

    share: Annotated[Part, Meta(description="Of the calls that a dearer model answered. 0: none.")] = 0.0
    judge: Annotated[
        Word | None,
        Meta(description="Who compares both answers. By default the baseline, or the dearest premium model."),
    ] = None
    budget_usd: Annotated[Usd, Meta(description="Most that this may cost in a day (UTC).")] = 0.5


class HedgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second place is asked when the first is slower than it usually is; the first answer counts."""

    share: Annotated[Part, Meta(description="At most so many calls are asked twice. 0: none.")] = 0.0
    quantile: Annotated[
        Share, Meta(description="Slower than so many of the place's answers to begin is slow.")
    ] = 0.95
    least_s: Annotated[Duration, Meta(description="Never sooner than this.")] = field(
        name="least", default=0.5
    )


class ValidatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program of yours that says whether an answer is good."""

    command: Annotated[
        tuple[Word, ...],
        Meta(
            description="Program and arguments, run in the folder of the configuration file. It reads the "
            "question and the answer as one JSON object; exit 0: good, 1: not good (the first line that it "
            "prints says why), anything else: it cannot say.",
            examples=[["python", "check.py"]],
        ),
    ]
    timeout_s: Annotated[
        Duration,
        Meta(description="Then it is ended, and the answer is taken as it is.", examples=["10s"]),
    ] = field(name="timeout", default=10.0)


class RoutingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `model: auto`, and names with `route: auto`, choose: the cheapest place that is good enough."""

    baseline: Annotated[
        Word | None,
        Meta(
            description="What would be used without Freehold: savings are counted against its price for the "
            "same tokens. By default the dearest premium model.",
            examples=["anthropic/claude-opus-4-5"],
        ),
    ] = None
    quality: Annotated[
        Share,
        Meta(description="Wanted chance of a good answer, relative to the best place that could give it."),
    ] = 0.95
    tasks: Annotated[
        dict[str, str],
        Meta(
            description="By kind of task (`x-freehold-task`, or as recognised) or by agent: the tier where "
            "it begins, or a model of yours.",
            examples=[{"heartbeat": "local", "review": "premium"}],
        ),
    ] = {}
    sticky_s: Annotated[
        Duration,
        Meta(description="A session stays where it is for so long after a call, unless leaving pays."),
    ] = field(name="sticky", default=1800.0)
    explore: Annotated[
        Part,
        Meta(
            description="Share of calls that may try a place of which little is known. Never those with "
            "`x-freehold-critical`."
        ),
    ] = 0.02
    minute_usd: Annotated[
        Usd, Meta(description="What a minute of waiting is worth, to weigh slow and cheap against fast.")
    ] = 0.002
    escalate: Annotated[
        bool, Meta(description="An answer that is plainly not good enough goes one tier up.")
    ] = True
    validators: Annotated[
        dict[str, ValidatorConfig],
        Meta(
            description="By kind of task, who checks the answers of cheaper places before they are given: "
            'a bad one goes one tier up. `"*"`: all other kinds.',
            examples=[{"code": {"command": ["python", "check.py"]}}],
        ),
    ] = {}
    agree: Annotated[
        tuple[Word, ...],
        Meta(
            description="Kinds of task, or names of your own with a `route`, for which two local models are "
            "asked: where they agree the answer is given, where they do not, one tier up is asked. Only what "
            'comes down to something short is compared. `"*"`: always.',
            examples=[["maths", "classify", "extract"]],
        ),
    ] = ()
    hold_streams: Annotated[
        bool,
        Meta(
            description="Streams are held back until the whole answer is checked or compared. Otherwise they "
            "are only judged by their beginning."
        ),
    ] = False
    shadow: Annotated[ShadowConfig, Meta(description="Learning what cheaper models could have done.")] = (
        ShadowConfig()
    )
    hedge: Annotated[HedgeConfig, Meta(description="Asking a second place when the first is slow.")] = (
        HedgeConfig()
    )
    coalesce: Annotated[
        bool,
        Meta(
            description="The same request again while the first is under way shares its answer: for requests "
            "without chance (`temperature: 0`, `seed`, embeddings), and for retries within a session."
        ),
    ] = True


class _Named(Protocol):
    """What is looked at of a provider."""

    @property
    def models(self) -> tuple[str, ...] | Literal["*"]: ...


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The names that a configuration itself knows."""

    servers: Collection[str]
    providers: Mapping[str, _Named]
    aliases: Collection[str]
    discover: bool
    """More may be found on the machine, so an unknown name is no mistake yet."""


def routing_problems(tiers: TiersConfig, routing: RoutingConfig, known: Known) -> Iterator[Problem]:
    """Every broken rule, in the order of the keys."""
    seen: dict[str, Tier] = {}
    for tier, position, name in tiers.named():
        path = ("tiers", tier, position)
        if name in seen:
            where = "twice" if seen[name] == tier else f"in {seen[name]}, too"
            yield Problem(path, f"'{name}' stands {where}; a model is in one tier")
        seen[name] = tier
        yield from _place(path, name, known)
    for key, name in (("baseline", routing.baseline), ("shadow.judge", routing.shadow.judge)):
        if name is not None:
            yield from _place(("routing", *key.split(".")), name, known)
    if routing.validators and not routing.escalate:
        yield Problem(("routing", "validators"), "are never asked while `escalate` is false")
    if routing.agree and not routing.escalate:
        yield Problem(("routing", "agree"), "compares nothing while `escalate` is false")
    for kind, check in routing.validators.items():
        if not check.command:
            yield Problem(("routing", "validators", kind, "command"), "is empty; it must name a program")
        if not 0 < check.timeout_s <= LONGEST_CHECK_S:
            where = ("routing", "validators", kind, "timeout")
            yield Problem(where, f"must be above 0 and at most {LONGEST_CHECK_S:g} s: a client waits for it")
    for kind, target in routing.tasks.items():
        if target not in TIERS and target not in known.aliases:
            yield from _place(("routing", "tasks", kind), target, known, also=(*TIERS, *known.aliases))


def _place(
    path: tuple[str | int, ...], name: str, known: Known, also: Collection[str] = ()
) -> Iterator[Problem]:
    """Whether there is, or may be, such a deployment."""
    if name in known.servers:
        return
    provider, slash, model = name.partition("/")
    owner = known.providers.get(provider) if slash else None
    if owner is not None and model and (owner.models == "*" or model in owner.models):
        return
    if known.discover and (owner is None and (slash or not also)):
        return
    what = "a server, or a provider's model (PROVIDER/model-id)"
    what = f"a tier (local, balanced, premium), a model of yours, {what}" if also else what
    yield Problem(path, f"'{name}' is not {what}.{_hint(name, known, also)}")


def _hint(name: str, known: Known, also: Collection[str]) -> str:
    listed = [
        f"{provider}/{model}"
        for provider, section in known.providers.items()
        if section.models != "*"
        for model in section.models
    ]
    near = get_close_matches(name, [*also, *known.servers, *listed], n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""

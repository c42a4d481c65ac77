"""Explanations of choices: for a running Freehold from its router, for the command line from files.

Without a running one the states of servers are unknown (all could begin at once), and beliefs are read from
where the last one left them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from freehold.adapters.providers.catalog import build_catalog, configured_servers
from freehold.adapters.providers.discover import Discovery
from freehold.app.energy import own_tokens
from freehold.app.outcomes import load_beliefs, load_learned
from freehold.app.price_table import overrides_of
from freehold.app.routing import places_of, routing_rules
from freehold.core.catalog import Deployment
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import FreeholdError
from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.snapshot import ensure_snapshot
from freehold.costs.table import PriceTableError
from freehold.receipts.entries import Receipt
from freehold.receipts.query import find
from freehold.routing.explain import ExplainIn, Explanation, PastCall, explain_past, explained
from freehold.routing.reading import Said, read_ask
from freehold.routing.router import Router, StandingOf
from freehold.routing.world import Ask, Rates, Standing


def explanation(
    router: Router, standing: StandingOf, asked: ExplainIn, home: Path, now_ms: int
) -> Explanation:
    """Of a prompt, or of a receipt by its id. A receipt is read from files. Raises LedgerError."""
    if asked.receipt:
        return explain_receipt(router, standing, find(home, asked.receipt)[1], now_ms)
    return explain_call(router, standing, asked, now_ms)


def explain_call(
    router: Router, standing: StandingOf, asked: ExplainIn, now_ms: int, left_nanos: int | None = None
) -> Explanation:
    """What the router would do with such a call now. Changes nothing. Raises FreeholdError for a name that
    leaves it no choice."""
    if router.places and not router.takes(asked.model):
        names = ", ".join(sorted(router.names)) or "none"
        raise FreeholdError(f"nothing is chosen for {asked.model!r}; names that leave the choice: {names}")
    ask = router.read(asked_of(asked))
    if asked.output_tokens is not None:
        ask = msgspec.structs.replace(ask, output_tokens=asked.output_tokens)
    world = router.world(ask, standing, now_ms, left_nanos)
    return explained(ask, router.judge(ask, world, 1.0), world, router.rules)


def explain_receipt(router: Router, standing: StandingOf, receipt: Receipt, now_ms: int) -> Explanation:
    """A past call, beside what else it could have been."""
    call = past_call(receipt)
    ask = Ask(task=call.task or router.task_of(receipt.id), agent=call.agent)
    world = router.world(ask, standing, now_ms)
    return explain_past(msgspec.structs.replace(call, task=ask.task), world, router.rules)


def asked_of(asked: ExplainIn) -> Ask:
    """The call that a prompt would be. Its tokens are counted as its own, not those of the JSON around it."""
    body = msgspec.json.encode({"messages": [{"role": "user", "content": asked.prompt}]})
    said = Said(
        model=asked.model,
        task=asked.task,
        agent=asked.agent,
        session=asked.session,
        critical=asked.critical,
    )
    ask = read_ask(body, "chat", said)
    tokens = len(asked.prompt.encode("utf-8", "replace")) // 4
    return msgspec.structs.replace(ask, input_tokens=tokens, question=0)


def past_call(receipt: Receipt) -> PastCall:
    return PastCall(
        receipt=receipt.id,
        asked=receipt.model_asked,
        deployment=receipt.deployment,
        route=receipt.route,
        task=receipt.task,
        agent=receipt.agent,
        usage=_given(receipt),
        cached=receipt.cached,
        cost_nanos=None if receipt.cost_state == "unknown" else receipt.cost_nanos,
    )


def own_router(loaded: LoadedConfig, home: Path, env: Mapping[str, str]) -> Router:
    """A router as the next start would have it, without what is only found by looking around. Blocking: reads
    the price table (made when there is none) and the beliefs. Raises ConfigError."""
    folder = loaded.file.parent if loaded.file else Path.cwd()
    specs = configured_servers(loaded.config, folder, env)
    catalog = build_catalog(loaded.config, Discovery(), specs)
    places = places_of(loaded.config, catalog, specs, _book(home, loaded.config), time.time_ns() // 1_000_000)
    router = Router(load_beliefs(home), load_learned(home))
    router.use(routing_rules(loaded.config, places), places, catalog.aliases)
    return router


def own_explanation(
    loaded: LoadedConfig, home: Path, env: Mapping[str, str], asked: ExplainIn
) -> Explanation:
    """For the command line. Raises ConfigError, LedgerError."""
    router, now_ms = own_router(loaded, home, env), time.time_ns() // 1_000_000

    def standing(one: Deployment) -> Standing:
        own = None if one.server is None else own_tokens(home, loaded.config.energy, one.server)
        return Standing(rates=None if own is None else Rates(fresh_in=own.fresh_in, out=own.out))

    found = explanation(router, standing, asked, home, now_ms)
    return msgspec.structs.replace(found, live=False)


def _book(home: Path, config: Config) -> PriceBook:
    overrides = overrides_of(config.prices)
    try:
        return PriceBook.load(ensure_snapshot(home / "prices"), overrides)
    except PriceTableError:
        return PriceBook.empty(overrides)


def _given(receipt: Receipt) -> Usage:
    """What the answer took that was given, without attempts before it: those would not be made elsewhere."""
    others = [attempt.usage for attempt in receipt.attempts]
    return Usage(
        **{
            name: max(0, getattr(receipt.usage, name) - sum(getattr(usage, name) for usage in others))
            for name in Usage.__struct_fields__
        }
    )

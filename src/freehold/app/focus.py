"""The charges of whole months, for the FOCUS export: calls, subscriptions, the idle machine. Only reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date

from freehold.app.energy import kept_energy
from freehold.app.spending import Spending
from freehold.core.usage import minus
from freehold.costs.disputes import Charged
from freehold.costs.exports.focus import Charge
from freehold.costs.flat import FlatCost, shares
from freehold.costs.terms import terms_in
from freehold.costs.windows import Span, day_span, spans
from freehold.receipts.entries import Attempt, Receipt
from freehold.receipts.sums import Between, calls, entries_between


def charges(spending: Spending, between: Between) -> Iterator[Charge]:
    """Of every month (UTC) that `between` touches: billing periods are whole."""
    for month in spans("month", Span(between.since_ms, between.until_ms), UTC):
        spending.db.execute("BEGIN")  # all of a month at one moment: calls may end meanwhile
        try:
            flat = spending.flat(month)
            yield from _fees(flat, month)
            yield from _of_calls(spending, flat, month)
            yield from _idle(spending, month)
        finally:
            spending.db.execute("COMMIT")


def _fees(flat: tuple[FlatCost, ...], month: Span) -> Iterator[Charge]:
    for each in flat:
        yield Charge(
            category="Purchase",
            unit="Months",
            month=month,
            period=month,
            description=f"{each.label}, paid by the month",
            provider=each.provider or each.label,
            server=each.server,
            list_nanos=each.month_nanos,
            contracted_nanos=each.month_nanos,
            billed_nanos=each.month_nanos,
        )


def _of_calls(spending: Spending, flat: tuple[FlatCost, ...], month: Span) -> Iterator[Charge]:
    """Calls that cost something or used tokens. Those that a subscription pays for share its fee."""
    between = Between(month.start_ms, month.end_ms)
    parts: dict[tuple[str, str], Iterator[int]] = {}
    for each in flat:
        weights = _weights(spending, each, between)
        parts[each.provider, each.server] = shares(each.month_nanos, weights, sum(weights))
        if not weights:
            yield _unused(each, month)
    for receipt in entries_between(spending.db, spending.home, between):
        part = parts.get((receipt.provider, receipt.server))
        effective = None if part is None else next(part)
        if receipt.cost_nanos or receipt.usage.input_total or receipt.usage.output_total or effective:
            yield _call(spending, receipt, effective, month)
        covered = {each.provider for each in flat if each.provider}
        yield from (_attempt(receipt, each, covered, month) for each in receipt.attempts if each.cost_nanos)


def _weights(spending: Spending, flat: FlatCost, between: Between) -> list[int]:
    """How much of a fee each call bears, in the order of the log: by its price, on a machine by its time. The
    one more is for calls that have neither."""
    if flat.provider:
        return [call.cost_nanos + 1 for call in calls(spending.db, between, {"provider": flat.provider})]
    return [call.total_us + 1 for call in calls(spending.db, between, {"server": flat.server})]


def _unused(flat: FlatCost, month: Span) -> Charge:
    return Charge(
        month=month,
        period=month,
        unit="Months",
        description=f"{flat.label}, not used",
        provider=flat.provider or flat.label,
        server=flat.server,
        effective_nanos=flat.month_nanos,
    )


def _call(spending: Spending, receipt: Receipt, effective: int | None, month: Span) -> Charge:
    """Of the answer that was given."""
    provider, server = receipt.provider, receipt.server
    nanos = receipt.cost_nanos - sum(each.cost_nanos for each in receipt.attempts)
    usage = minus(receipt.usage, [each.usage for each in receipt.attempts])
    charged = Charged(
        at_ms=receipt.started_ms,
        provider=provider,
        model=receipt.deployment.removeprefix(f"{provider}/"),
        cost_nanos=nanos,
        usage=usage,
        terms=terms_in(receipt.price_terms),
    )
    listed = spending.list_nanos(charged) if provider else None
    cash = nanos if provider and effective is None else 0
    end_ms = receipt.started_ms + max(1, receipt.total_us // 1000)
    return Charge(
        month=month,
        period=Span(receipt.started_ms, end_ms),
        description=f"{receipt.endpoint or 'call'}, {receipt.outcome}",
        provider=provider or (f"server {server}" if effective is not None else ""),
        server=server,
        list_nanos=nanos if listed is None else listed,
        contracted_nanos=nanos,
        billed_nanos=cash,
        effective_nanos=nanos if effective is None else effective,
        project=receipt.project,
        agent=receipt.agent,
        session=receipt.session,
        task=receipt.task,
        key=receipt.via_key,
        model=receipt.model,
        deployment=receipt.deployment,
        outcome=receipt.outcome,
        cost_state=receipt.cost_state,
        price_snapshot=receipt.price_snapshot,
        receipt=receipt.id,
        usage=usage,
    )


def _attempt(receipt: Receipt, each: Attempt, covered: Collection[str], month: Span) -> Charge:
    """An answer that was paid for and not given. What a subscription covers costs no cash, and its fee is
    shared by the calls that it answered."""
    free = not each.provider or each.provider in covered
    start_ms = receipt.started_ms + each.start_us // 1000
    return Charge(
        month=month,
        period=Span(start_ms, start_ms + max(1, each.total_us // 1000)),
        description=f"{receipt.endpoint or 'call'}, an answer that was not given",
        provider=each.provider,
        server="" if each.provider else each.deployment,
        list_nanos=each.cost_nanos,
        contracted_nanos=each.cost_nanos,
        billed_nanos=0 if free else each.cost_nanos,
        effective_nanos=0 if each.provider in covered else each.cost_nanos,
        project=receipt.project,
        agent=receipt.agent,
        session=receipt.session,
        task=receipt.task,
        key=receipt.via_key,
        model=each.deployment.removeprefix(f"{each.provider}/"),
        deployment=each.deployment,
        outcome=receipt.outcome,
        cost_state=receipt.cost_state,
        price_snapshot=receipt.price_snapshot,
        receipt=receipt.id,
        usage=each.usage,
    )


def _idle(spending: Spending, month: Span) -> Iterator[Charge]:
    for name, sums in sorted(kept_energy(spending.home).items()):
        day = day_span(date.fromisoformat(name))
        if month.start_ms <= day.start_ms < month.end_ms and sums.idle_nanos:
            yield Charge(
                month=month,
                period=day,
                unit="Days",
                description="the machine while no call ran",
                effective_nanos=sums.idle_nanos,
                cost_state="estimated",
            )

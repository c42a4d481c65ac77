"""What Prometheus is told of budgets, limits, kept answers, choices and shadows.

A budget for each of a kind is one series, because the names of those come from clients: spent and held are
sums over all of them, left is that of the one who has least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freehold.costs.budgets.views import BudgetView
from freehold.costs.limits.window import LimitView
from freehold.web.families import NANOS, Family, counter, gauge
from freehold.web.money import MoneyMeter, ShadowView


def money_families(meter: MoneyMeter) -> Iterator[Family]:
    yield from _budgets(meter.budgets)
    yield from _limits(meter.limits)
    cache, choices = meter.cache, meter.choices
    yield counter(
        "freehold_cache_hits",
        "Calls answered without a model, by how.",
        ("kind",),
        (((kind,), count) for kind, count in cache.hits.items()),
    )
    yield counter(
        "freehold_cache_saved_usd",
        "What these answers cost when a model gave them.",
        ("kind",),
        (((kind,), nanos / NANOS) for kind, nanos in cache.saved_nanos.items()),
    )
    yield counter("freehold_cache_misses", "Calls that were looked for in vain.", (), [((), cache.misses)])
    yield gauge("freehold_cache_entries", "Answers kept in memory.", (), [((), cache.entries)])
    yield counter(
        "freehold_routed_calls",
        "Calls that left the choice to Freehold, by the tier that was asked first.",
        ("tier",),
        (((tier,), count) for tier, count in choices.tiers.items()),
    )
    yield counter(
        "freehold_escalations", "Answers that were passed up a tier.", (), [((), choices.escalations)]
    )
    yield from _shadow(meter.shadow)


def _budgets(views: Sequence[BudgetView]) -> Iterator[Family]:
    by_label: dict[str, list[BudgetView]] = {}
    for view in views:
        by_label.setdefault(view.label, []).append(view)
    told = {
        (label,): (
            min(view.limit_nanos for view in each),
            sum(view.spent_nanos + view.expired_nanos for view in each),
            sum(view.held_nanos for view in each),
            min(view.left_nanos for view in each),
        )
        for label, each in by_label.items()
    }
    for position, (name, words) in enumerate(
        (
            ("limit", "What may be spent in the present window."),
            ("spent", "What is spent in it."),
            ("held", "What is put aside for calls under way."),
            ("left", "What may still be put aside."),
        )
    ):
        samples = [(label, sums[position] / NANOS) for label, sums in told.items()]
        yield gauge(f"freehold_budget_{name}_usd", words, ("budget",), samples)


def _limits(views: Sequence[LimitView]) -> Iterator[Family]:
    labels = ("provider", "model", "window")
    known = [((view.provider, view.model, view.window), view) for view in views]
    left = [(names, view.left / view.limit) for names, view in known if view.left is not None and view.limit]
    resets = [(names, view.resets_ms / 1000) for names, view in known if view.resets_ms is not None]
    yield gauge("freehold_limit_left_ratio", "What is left of a provider's limit.", labels, left)
    yield gauge(
        "freehold_limit_reset_timestamp_seconds", "When it is filled again, Unix time.", labels, resets
    )


def _shadow(view: ShadowView) -> Iterator[Family]:
    compared, good = sum(task.compared for task in view.tasks), sum(task.good for task in view.tasks)
    yield gauge("freehold_shadow_compared", "Calls that a cheaper place answered too.", (), [((), compared)])
    if compared:
        words = "Share of these that could have stayed there."
        yield gauge("freehold_shadow_good_ratio", words, (), [((), good / compared)])
    yield gauge("freehold_shadow_spent_usd", "What shadows cost today.", (), [((), view.spent_nanos / NANOS)])

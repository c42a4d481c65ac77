"""What Prometheus is told: values, and their text. Collecting them is `app.meters`' and `app.control`'s.

Names follow Prometheus' practice: base units, `_total` for counters. Labels are only what is bounded by the
configuration (servers, deployments) or by a closed list; never a session, a key or a client's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from freehold.web.control import (
    BOUNDS_S,
    DeploymentMeter,
    Histogram,
    MetricsView,
    ServerState,
    ServerView,
    StatusView,
)
from freehold.web.families import NANOS, Family, counter, gauge
from freehold.web.money_metrics import money_families
from freehold.web.telemetry import TelemetryMeter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(view: MetricsView) -> bytes:
    """The text that a scrape answers (Prometheus text format 0.0.4)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(view))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, view: MetricsView) -> None:
        self._view = view

    def collect(self) -> Iterator[Family]:
        yield from _house(self._view.status)
        yield from _servers(self._view.servers)
        yield counter(
            "freehold_server_deaths",
            "Ends of model servers by cause.",
            ("server", "cause"),
            ((key, count) for key, count in self._view.deaths.items()),
        )
        yield from _deployments(self._view.deployments)
        yield from money_families(self._view.money)
        yield from _telemetry(self._view.telemetry)


def _house(status: StatusView) -> Iterator[Family]:
    yield gauge("freehold_info", "Version in the label.", ("version",), [((status.version,), 1)])
    for name, words, value in (
        ("freehold_start_time_seconds", "When it started, Unix time.", status.started_ms / 1000),
        ("freehold_calls_in_flight", "Calls under way.", status.in_flight),
        ("freehold_memory_bytes", "Resident memory of Freehold itself.", status.memory_bytes),
        ("freehold_ledger_entries", "Entries in the log.", status.ledger.entries),
        ("freehold_ledger_signed_entries", "Entries under a signed checkpoint.", status.ledger.signed),
        ("freehold_ledger_projected_entries", "Entries in the database.", status.ledger.projected),
    ):
        yield gauge(name, words, (), [((), value)])


def _servers(servers: Iterable[ServerView]) -> Iterator[Family]:
    views = tuple(servers)
    states = [
        ((view.name, state), int(view.state == state)) for view in views for state in get_args(ServerState)
    ]
    yield gauge("freehold_server_state", "1 for the state it is in.", ("server", "state"), states)
    columns: tuple[tuple[str, str, list[float | None]], ...] = (
        ("slots", "Calls that it can work on.", [v.slots for v in views]),
        ("in_flight", "Calls that hold a slot.", [v.in_flight for v in views]),
        ("queued", "Calls that wait for a slot.", [v.queued for v in views]),
        ("oldest_wait_seconds", "Longest wait in the queue.", [v.oldest_wait_ms / 1000 for v in views]),
        ("load_seconds", "What a load took lately.", [_seconds(v.load_ms) for v in views]),
        ("planned_ram_bytes", "Host memory planned.", [v.memory.planned_ram_bytes for v in views]),
        ("planned_vram_bytes", "GPU memory planned.", [v.memory.planned_vram_bytes for v in views]),
        ("reported_bytes", "Memory as the engine tells.", [v.memory.reported_bytes for v in views]),
        ("ram_bytes", "Host memory measured.", [v.memory.measured_ram_bytes for v in views]),
        ("tokens_in_per_second", "Prompt tokens, last minute.", [v.speed.tokens_in_per_s for v in views]),
        ("tokens_out_per_second", "Answer tokens, last minute.", [v.speed.tokens_out_per_s for v in views]),
    )
    for name, words, values in columns:
        samples = [
            ((view.name,), value) for view, value in zip(views, values, strict=True) if value is not None
        ]
        yield gauge(f"freehold_server_{name}", words, ("server",), samples)
    shares = [
        ((view.name, str(share.gpu)), share.measured_bytes)
        for view in views
        for share in view.memory.gpus
        if share.measured_bytes is not None
    ]
    yield gauge("freehold_server_vram_bytes", "GPU memory measured.", ("server", "gpu"), shares)
    for name, words, counts in (
        ("restarts", "Starts after a death.", [view.restarts for view in views]),
        ("loads", "Times it became ready.", [view.loads for view in views]),
    ):
        pairs = [((view.name,), count) for view, count in zip(views, counts, strict=True)]
        yield counter(f"freehold_server_{name}", words, ("server",), pairs)


def _deployments(meters: Iterable[DeploymentMeter]) -> Iterator[Family]:
    found = tuple(meters)
    yield counter(
        "freehold_calls",
        "Ended calls by outcome.",
        ("deployment", "outcome"),
        (((m.deployment, outcome), count) for m in found for outcome, count in m.calls.items()),
    )
    yield counter(
        "freehold_tokens",
        "Tokens by bucket of usage.",
        ("deployment", "bucket"),
        (((m.deployment, bucket), count) for m in found for bucket, count in m.tokens.items()),
    )
    yield counter(
        "freehold_cost_usd",
        "Cost by who vouches for it; exact figures are in the receipts.",
        ("deployment", "state"),
        (((m.deployment, state), nanos / NANOS) for m in found for state, nanos in m.cost_nanos.items()),
    )
    for name, words, histograms in (
        ("first_byte", "Until the answer began.", [m.first_byte for m in found]),
        ("call", "From the first byte of a call to the last of its answer.", [m.total for m in found]),
    ):
        family = HistogramMetricFamily(f"freehold_{name}_seconds", words, labels=("deployment",))
        for meter, histogram in zip(found, histograms, strict=True):
            buckets = list(_buckets(histogram))
            family.add_metric([meter.deployment], buckets, histogram.sum_us / 1e6)
        yield family


def _telemetry(meter: TelemetryMeter) -> Iterator[Family]:
    yield counter(
        "freehold_telemetry_items",
        "Calls and tool uses that telemetry told of: new ones, and by what others were recognised.",
        ("recognised",),
        (((why,), count) for why, count in meter.items.items()),
    )
    for name, words, count in (
        ("forwarded", "Requests that the collector took.", meter.forwarded),
        ("dropped", "Requests that the collector never got.", meter.dropped),
        ("exported", "Calls of ours whose spans the collector took.", meter.exported),
        ("export_dropped", "Calls of ours whose spans it never got.", meter.export_dropped),
    ):
        yield counter(f"freehold_telemetry_{name}", words, (), [((), count)])


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    for bound, count in zip(BOUNDS_S, histogram.below, strict=True):
        yield str(bound), count
    yield "+Inf", histogram.count


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000

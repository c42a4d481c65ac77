"""Families of metrics made of few words, for all that tell Prometheus something."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values of the labels, and the sample's."""
NANOS = 1_000_000_000


def gauge(name: str, words: str, labels: tuple[str, ...], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def counter(name: str, words: str, labels: tuple[str, ...], samples: Samples) -> CounterMetricFamily:
    """`name` without its `_total`."""
    family = CounterMetricFamily(name, words, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family

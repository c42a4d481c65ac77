"""What the configuration can say already, and a running Freehold does not do yet. Pure.

A setting that is read and has no effect would be worse than none: each is named when Freehold starts, and a
bound on money that would not be kept stops it. A name goes from here when its part is at work.
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.core.config import AliasConfig, Config

_NOT_YET = ("tiers", "routing", "energy", "limits", "cache", "telemetry")
_REFUSED = ("budgets",)


def without_effect(config: Config) -> Iterator[str]:
    """One sentence for each section that changes nothing yet."""
    usual = Config()
    for name in _NOT_YET:
        if getattr(config, name) != getattr(usual, name):
            yield f"`{name}` is read, and has no effect on calls in this version"
    for name, alias in config.models.items():
        if isinstance(alias, AliasConfig) and alias.route != "order":
            yield f"`models.{name}.route` has no effect in this version: candidates are tried in order"


def refused(config: Config) -> str | None:
    """Why Freehold must not start with this configuration; None when it may."""
    for name in _REFUSED:
        if getattr(config, name):
            return f"`{name}` cannot be enforced by this version yet: drop the section, so that nobody relies on it"
    return None

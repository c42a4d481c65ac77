"""What the configuration can say already, and a running Freehold does not do yet. Pure.

A setting that is read and has no effect would be worse than none if nobody said so: each is named when
Freehold starts. A name goes from here when its part is at work.
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.core.config import Config


def without_effect(config: Config) -> Iterator[str]:
    """One sentence for each section that changes nothing yet."""
    usual = Config()
    for name in ("hedge",):
        if getattr(config.routing, name) != getattr(usual.routing, name):
            yield f"`routing.{name}` is read and NOT at work in this version"

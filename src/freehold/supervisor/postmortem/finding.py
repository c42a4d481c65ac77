"""What one rule found, and the words that rules share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.core.deaths import Cause, Clue
from freehold.supervisor.postmortem.scene import Scene

PROVEN = 90
"""Percent from which a cause is proven."""
NAMED = 50
"""Percent below which a cause is not named: the answer is `unknown` then."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause and how much speaks for it."""

    cause: Cause
    weight: int
    """Percent. 90 and more only for evidence that cannot be talked away."""
    sentence: str
    next: str
    proof: str = ""
    """What would prove it, while it is not proven."""
    clues: tuple[Clue, ...] = ()


Rule = Callable[[Scene], Finding | None]

SENDER_PROOF = "Let Freehold see who sends signals (tracefs: root or CAP_PERFMON), and it is named next time."
KERNEL_PROOF = "Let Freehold read the kernel's log (group adm or systemd-journal, or root)."
CGROUP_PROOF = "Run Freehold where it may make cgroups (freehold service install): each server gets its own."


WHAT_FITS = "`freehold plan` shows what fits."
REPORT_IT = "Update the engine; if it comes again, report it with its last lines and the request in flight."


def logs_hint(scene: Scene) -> str:
    """Where its output can be read."""
    return f"freehold servers logs {scene.facts.server}"

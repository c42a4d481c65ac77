"""From facts to findings: what each thing seen means, and what to do about it. Pure; every rule is a line
of a table in the tests. Rules about programs stand in `judge_programs`, about the machine in `judge_machine`.
"""

from __future__ import annotations

from collections.abc import Callable

from freehold.adapters.host import judge_machine as machine
from freehold.adapters.host import judge_programs as programs
from freehold.adapters.host.facts import HostFacts
from freehold.adapters.host.findings import Finding

WATCHED_PORTS = tuple(programs.USUAL_PORTS)

JUDGES: tuple[Callable[[HostFacts], list[Finding]], ...] = (
    programs.python,
    programs.engines,
    programs.gpus,
    programs.ports,
    programs.keys,
    machine.memory,
    machine.cgroup,
    machine.disks,
    machine.journal,
    machine.limits,
    machine.clock,
    machine.kernel,
    machine.access,
)
"""In the order in which a person reads them."""

_GRAVITY = {"fail": 0, "warn": 1, "info": 2, "ok": 3}


def check(facts: HostFacts) -> list[Finding]:
    """All findings, area by area, the gravest of an area first; then what could not be looked at."""
    found: list[Finding] = []
    for judge in JUDGES:
        found += sorted(judge(facts), key=lambda finding: _GRAVITY[finding.level])
    for area, reason in sorted(facts.blind.items()):
        found.append(Finding(level="info", area=area, title="Could not be looked at", detail=reason))
    return found

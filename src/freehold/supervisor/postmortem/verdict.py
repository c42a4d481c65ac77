"""From all findings to one certificate. Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from freehold.core.deaths import Certificate, DeathFacts
from freehold.supervisor.postmortem import causes_faults, causes_memory, causes_signals, causes_start
from freehold.supervisor.postmortem.clues import all_clues
from freehold.supervisor.postmortem.finding import NAMED, PROVEN, Finding, Rule, logs_hint
from freehold.supervisor.postmortem.scene import Scene, clip, look, signal_name

RULES: tuple[Rule, ...] = (
    causes_signals.asked_by_us,
    causes_signals.hung,
    causes_signals.host_reboot,
    causes_memory.oom_cgroup,
    causes_memory.oom_global,
    causes_memory.userspace_oom,
    causes_signals.hangup,
    causes_start.bad_model,
    causes_start.disk_full,
    causes_start.port_taken,
    causes_start.missing_library,
    causes_start.bad_flag,
    causes_faults.gpu_fault,
    causes_memory.gpu_oom,
    causes_faults.assertion,
    causes_faults.cpu_unsupported,
    causes_faults.segfault,
    causes_signals.killed_by,
    causes_signals.parent_died,
)
"""Of equal weight, the earlier one wins: the more particular stands first."""

_WORTH_NAMING = 15
_MOST_CALLS = 64


def certify(facts: DeathFacts) -> Certificate:
    """Why this server died. Total: any facts lead to a certificate, and never to an exception."""
    scene = look(facts)
    findings = [finding for rule in RULES if (finding := rule(scene)) is not None and finding.weight > 0]
    # Our own order stands above all: what came of it is no riddle. Of equal weight, the earlier rule wins.
    findings.sort(key=lambda finding: (finding.cause != "asked-by-us", -finding.weight))
    best = findings[0] if findings and findings[0].weight >= NAMED else _unknown(scene, findings)
    rivals = [finding for finding in findings if finding.cause != best.cause]
    confidence = _confidence(best, rivals)
    settled = confidence >= PROVEN or best.cause == "asked-by-us"
    return Certificate(
        server=facts.server,
        died_ms=facts.exit.died_ms,
        cause=best.cause,
        confidence=confidence,
        sentence=clip(best.sentence, 400),
        next=best.next,
        proof="" if settled else best.proof or _what_was_not_seen(facts),
        evidence=all_clues(scene, best.clues),
        others=tuple(f"{one.cause} ({one.weight})" for one in rivals if one.weight >= _WORTH_NAMING),
        pid=facts.pid,
        ready=facts.was_ready,
        started_ms=facts.started_ms,
        in_flight=facts.in_flight[:_MOST_CALLS],
        ordered=best.cause == "asked-by-us",
    )


def _confidence(best: Finding, rivals: Sequence[Finding]) -> int:
    """The best's weight, less what speaks for others. A proven cause is only shaken by a proven one."""
    rival = max((finding.weight for finding in rivals), default=0)
    if best.cause == "asked-by-us":
        return best.weight
    if best.weight >= PROVEN:
        return best.weight if rival < PROVEN else PROVEN - 5
    return max(best.weight - max(rival - 40, 0) // 3, 0)


def _unknown(scene: Scene, findings: Sequence[Finding]) -> Finding:
    """What to do when nothing explains it."""
    facts = scene.facts
    last = next((line for line in reversed(facts.last_lines) if line.strip()), "")
    words = f" Its last words: {clip(last, 120)}" if last else " It left no word."
    if facts.exit.keeper_lost:
        how = "It is gone, and nobody saw how it ended."
    elif scene.signal is not None:
        how = f"It was ended by {signal_name(scene.signal)}, and nothing tells why."
    elif facts.exit.code == 0:
        how = "It ended by itself with code 0, though nobody had asked it to."
    else:
        how = f"It ended by itself with code {facts.exit.code}, and nothing tells why."
    guess = f" Most likely of what is left: {findings[0].cause}." if findings else ""
    return Finding(
        cause="unknown",
        weight=0,
        sentence=how + words,
        next=_steps(scene) + guess,
        proof=_what_was_not_seen(facts),
    )


def _steps(scene: Scene) -> str:
    facts = scene.facts
    if scene.signal == signal.SIGKILL:
        return "Look for an out-of-memory kill (dmesg) or a script that ends processes."
    if scene.failed and not facts.was_ready:
        return f"Read {logs_hint(scene)}, and start its command by hand to see what it says."
    return f"Read {logs_hint(scene)}; give the engine a higher log level, so that its next end says more."


def _what_was_not_seen(facts: DeathFacts) -> str:
    blind = "; ".join(f"{what}: {why}" for what, why in sorted(facts.host.blind.items()))
    if blind:
        return f"What could not be seen: {clip(blind, 300)}"
    return "The engine's own words: a higher log level, or a core dump of the next crash."

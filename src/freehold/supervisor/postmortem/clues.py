"""Evidence as a list that a person reads: what is told at every death, whatever its cause. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.core.deaths import Clue, DeathFacts
from freehold.core.memory import MemoryUse
from freehold.core.quantities import duration_words
from freehold.supervisor.postmortem.scene import Scene, clue, signal_name, size_words

_MOST = 40
_LAST_LINES = 8
_KERNEL_LINES = 6
_STEADY_BYTES_A_MINUTE = 16 * 1024**2


def all_clues(scene: Scene, first: Sequence[Clue]) -> tuple[Clue, ...]:
    """`first`, then everything else worth telling; each thing once."""
    facts = scene.facts
    rest = (
        _exit(scene),
        _life(facts),
        *_orders(facts),
        *_memory(facts),
        *_host(facts),
        *_calls(facts),
        *(clue("output", line) for line in facts.last_lines[-_LAST_LINES:]),
        *(clue("not seen", f"{what}: {why}") for what, why in sorted(facts.host.blind.items())),
    )
    seen: dict[tuple[str, str], Clue] = {}
    for one in (*first, *rest):
        seen.setdefault((one.source, one.text), one)
    return tuple(seen.values())[:_MOST]


def growth_a_minute(samples: Sequence[MemoryUse]) -> int:
    """Bytes a minute by which memory that nobody can take back grew, from the first to the last sample."""
    if len(samples) < 2:
        return 0
    first, last = samples[0], samples[-1]
    elapsed_ms = last.at_ms - first.at_ms
    return (last.anon_bytes - first.anon_bytes) * 60_000 // elapsed_ms if elapsed_ms > 0 else 0


def _exit(scene: Scene) -> Clue:
    end = scene.facts.exit
    if end.keeper_lost:
        return clue("exit", "how it ended could not be seen: its keeper was gone")
    if end.signal is not None:
        text = f"ended by {signal_name(end.signal)}" + (", core dumped" if end.core_dumped else "")
    else:
        text = f"ended with code {end.code}"
        if scene.by_shell:
            text += f", as a shell tells {signal_name(scene.signal)}"
    if end.max_rss_bytes:
        text += f"; at most {size_words(end.max_rss_bytes)} of RAM"
    return clue("exit", text)


def _life(facts: DeathFacts) -> Clue:
    lived = max(facts.exit.died_ms - facts.started_ms, 0) / 1000
    if not facts.was_ready:
        return clue("life", f"died after {duration_words(lived)}, never ready")
    ready = max((facts.ready_ms or facts.started_ms) - facts.started_ms, 0) / 1000
    return clue("life", f"ready after {duration_words(ready)}, died after {duration_words(lived)}")


def _orders(facts: DeathFacts) -> list[Clue]:
    def when(at_ms: int) -> str:
        return "after its death" if 0 < facts.exit.died_ms < at_ms else "before its death"

    return [
        clue("order", f"{signal_name(order.signal)} {when(order.at_ms)}: {order.reason}")
        for order in facts.orders[-4:]
    ]


def _memory(facts: DeathFacts) -> list[Clue]:
    found: list[Clue] = []
    if facts.memory:
        last = facts.memory[-1]
        text = f"{size_words(last.anon_bytes)} of RAM held"
        slope = growth_a_minute(facts.memory)
        if abs(slope) >= _STEADY_BYTES_A_MINUTE:
            text += f", {'growing' if slope > 0 else 'falling'} by {size_words(abs(slope))} a minute"
        gpu = sum(last.gpu_bytes.values())
        found.append(clue("memory", text + (f"; {size_words(gpu)} of GPU memory" if gpu else "")))
    if facts.planned_ram_bytes and facts.memory and facts.memory[-1].anon_bytes > facts.planned_ram_bytes:
        found.append(clue("plan", f"only {size_words(facts.planned_ram_bytes)} of RAM were planned"))
    return found


def _host(facts: DeathFacts) -> list[Clue]:
    host = facts.host
    found = [clue("host", change) for change in host.changes[:6]]
    for seen in (host.senders or ())[-4:]:
        by = "the kernel" if seen.from_kernel else f"{seen.sender_comm} (pid {seen.sender_pid})"
        found.append(clue("signals", f"{signal_name(seen.signal)} sent by {by}"))
    found += [clue("kernel log", line.text) for line in (host.kernel or ())[-_KERNEL_LINES:]]
    if host.cgroup is not None and host.cgroup.peak_bytes:
        found.append(clue("cgroup", f"peak {size_words(host.cgroup.peak_bytes)}"))
    return found


def _calls(facts: DeathFacts) -> list[Clue]:
    found: list[Clue] = []
    if facts.in_flight:
        count = len(facts.in_flight)
        found.append(clue("calls", f"{count} call{'s' if count > 1 else ''} in flight"))
    if facts.probes:
        last = facts.probes[-1]
        found.append(clue("probe", f"the last one: {last.result} after {last.took_ms} ms"))
    return found

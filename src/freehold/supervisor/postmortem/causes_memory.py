"""Rules for deaths for want of memory: the kernel's killers, those of user space, and the GPU's."""

from __future__ import annotations

import re
import signal

from freehold.core.deaths import Clue
from freehold.supervisor.postmortem.causes_signals import USERSPACE_KILLERS
from freehold.supervisor.postmortem.finding import CGROUP_PROOF, KERNEL_PROOF, WHAT_FITS, Finding
from freehold.supervisor.postmortem.kernel_lines import OomKill, oom_invoked
from freehold.supervisor.postmortem.scene import Scene, clue, size_words

_WORDS = re.compile(r"[\w.+-]+")


def oom_cgroup(scene: Scene) -> Finding | None:
    """Its memory group was full, and the kernel killed it for that."""
    facts, cgroup = scene.facts, scene.facts.host.cgroup
    line = _kill_of(scene, in_cgroup=True)
    kills = cgroup.oom_kill if cgroup else 0
    weight = 0
    if line is not None and line.pid == facts.pid:
        weight = 97
    elif kills > 0 or line is not None:
        weight = 96 if kills > 0 else 80
        if kills > 0 and cgroup is not None and cgroup.shared and scene.by_kernel is None:
            weight = 75  # another one of its members may be the one that was killed
        if kills > 0 and line is None and not _at_limit(scene):
            weight = 60  # its own limit was never met: the machine's killer, or that of a group above
    elif cgroup is not None and scene.signal == signal.SIGKILL and _at_limit(scene):
        weight = 55
    if not weight:
        return None
    if scene.signal != signal.SIGKILL:  # a child was killed, and the main process ended because of it
        weight = min(weight, 80 if scene.failed else 60 if facts.exit.keeper_lost else 45)
    if scene.stranger is not None and scene.signal == signal.SIGKILL:
        weight = min(weight, 70)
    limit = cgroup.limit_bytes if cgroup else None
    reached = f" reached {size_words(limit)}" if limit else " was full"
    group = "the memory group that it shares" if cgroup and cgroup.shared else "its memory group"
    killed = "Killed by the kernel" if scene.signal == signal.SIGKILL else "One of its processes was killed"
    return Finding(
        cause="oom-cgroup",
        weight=weight,
        sentence=f"{killed}: {group}{reached}.",
        next=f"Raise servers.{facts.server}.memory, or lower its context, slots or prompt cache.",
        proof="" if weight >= 90 else KERNEL_PROOF,
        clues=(*_cgroup_clues(scene), *_kill_clues(line)),
    )


def oom_global(scene: Scene) -> Finding | None:
    """The whole machine was out of memory."""
    facts = scene.facts
    line = _kill_of(scene, in_cgroup=False)
    if line is None:
        return _refused(scene) or _killed_from_above(scene)
    weight = 97 if line.pid == facts.pid else 80
    if scene.signal != signal.SIGKILL:
        weight = 75 if scene.failed else 60 if facts.exit.keeper_lost else 40
    if scene.stranger is not None:
        weight = min(weight, 70)
    held = f" It held {size_words(line.anon_bytes)}." if line.anon_bytes else ""
    return Finding(
        cause="oom-global",
        weight=weight,
        sentence=f"Killed by the kernel: the machine was out of memory.{held}",
        next=f"Run fewer servers at once, or lower the context of {facts.server}. {WHAT_FITS}",
        proof="" if weight >= 90 else CGROUP_PROOF,
        clues=(*_kill_clues(line), *_free_clues(scene)),
    )


def userspace_oom(scene: Scene) -> Finding | None:
    """earlyoom, systemd-oomd and their like: they kill before the kernel has to."""
    facts, lines = scene.facts, scene.facts.host.userspace_oom
    killer = (
        scene.stranger if scene.stranger and USERSPACE_KILLERS.match(scene.stranger.sender_comm) else None
    )
    fits = scene.signal in (signal.SIGKILL, signal.SIGTERM) or facts.exit.code == 0
    if not lines and killer is None:
        return _under_pressure(scene)
    named = any(facts.pid is not None and str(facts.pid) in _WORDS.findall(line) for line in lines)
    weight = 97 if killer else 93 if named else 85
    if not fits:
        weight = min(weight, 40)
    elif killer is None and scene.stranger is not None:
        weight = min(weight, 60)
    who = killer.sender_comm if killer else "a memory guard of this machine"
    return Finding(
        cause="userspace-oom",
        weight=weight,
        sentence=f"Ended by {who}, because the machine was about to run out of memory.",
        next=f"Run fewer servers at once, or lower the context of {facts.server}. {WHAT_FITS}",
        proof="" if weight >= 90 else KERNEL_PROOF,
        clues=(*(clue("journal", line) for line in lines[:4]), *_free_clues(scene)),
    )


def gpu_oom(scene: Scene) -> Finding | None:
    """The GPU's memory was full: only the engine itself tells."""
    hit, facts = scene.hit("gpu-oom"), scene.facts
    if hit is None:
        return None
    planned = facts.planned_vram_bytes
    plan = (clue("plan", f"{size_words(planned)} of GPU memory were planned"),) if planned else ()
    return Finding(
        cause="gpu-oom",
        weight=hit.weight,
        sentence=hit.sentence,
        next=hit.next
        or f"Lower servers.{facts.server}.context or slots, put fewer layers on the GPU (gpu_layers), "
        f"or raise memory.vram_reserve. {WHAT_FITS}",
        proof="" if hit.weight >= 90 else "The engine's own words at the moment of its end.",
        clues=(clue("output", hit.line), *plan),
    )


def _kill_of(scene: Scene, *, in_cgroup: bool) -> OomKill | None:
    """The kernel's kill of this process: by its pid, else (in a container the kernel's pids are others) by
    its name."""
    kills = [kill for kill in scene.oom_kills if kill.in_cgroup == in_cgroup]
    by_pid = next((kill for kill in kills if kill.pid == scene.facts.pid), None)
    if by_pid is not None:
        return by_pid
    words = set(_WORDS.findall(scene.facts.program)) | set(_WORDS.findall(scene.facts.engine))
    names = {word[:15] for word in words if len(word) > 3}
    return next((kill for kill in kills if kill.comm in names), None)


def _at_limit(scene: Scene) -> bool:
    cgroup = scene.facts.host.cgroup
    if cgroup is None:
        return False
    near = bool(
        cgroup.limit_bytes and cgroup.peak_bytes and cgroup.peak_bytes * 100 >= cgroup.limit_bytes * 98
    )
    return cgroup.oom > 0 or cgroup.at_limit > 0 or near


def _killed_from_above(scene: Scene) -> Finding | None:
    """The kernel killed it for want of memory, though its own group had some left."""
    cgroup = scene.facts.host.cgroup
    if cgroup is None or cgroup.oom_kill == 0 or _at_limit(scene) or _kill_of(scene, in_cgroup=True):
        return None
    weight = 80 if scene.signal == signal.SIGKILL and scene.stranger is None and not cgroup.shared else 40
    return Finding(
        cause="oom-global",
        weight=weight,
        sentence="Killed by the kernel for want of memory, though its own limit was never met.",
        next=f"Run fewer servers at once, or lower the context of {scene.facts.server}. {WHAT_FITS}",
        proof=KERNEL_PROOF,
        clues=(*_cgroup_clues(scene), *_free_clues(scene)),
    )


def _refused(scene: Scene) -> Finding | None:
    """Memory that was asked for and not given: no killer, the engine ends itself."""
    hit = scene.hit("oom-global")
    invoked = oom_invoked(scene.facts.host.kernel or ())
    if hit is None and not (invoked and scene.signal == signal.SIGKILL):
        return None
    weight = hit.weight if hit else 55
    return Finding(
        cause="oom-global",
        weight=min(weight + (10 if hit and invoked else 0), 85),
        sentence=hit.sentence if hit else "The machine was out of memory when it was killed.",
        next=f"Run fewer servers at once, or lower the context of {scene.facts.server}. {WHAT_FITS}",
        proof=CGROUP_PROOF,
        clues=((clue("output", hit.line),) if hit else ()) + _free_clues(scene),
    )


def _under_pressure(scene: Scene) -> Finding | None:
    pressure = scene.facts.host.memory_pressure_avg10 or 0
    if (
        pressure < 40
        or scene.signal not in (signal.SIGKILL, signal.SIGTERM)
        or scene.stranger
        or scene.oom_kills
    ):
        return None
    return Finding(
        cause="userspace-oom",
        weight=40,
        sentence="Ended from outside while the machine was very short of memory.",
        next="Look whether earlyoom, systemd-oomd or the like runs here and what it wrote to the journal.",
        proof=KERNEL_PROOF,
        clues=_free_clues(scene),
    )


def _cgroup_clues(scene: Scene) -> tuple[Clue, ...]:
    cgroup = scene.facts.host.cgroup
    if cgroup is None:
        return ()
    peak = f", peak {size_words(cgroup.peak_bytes)}" if cgroup.peak_bytes is not None else ""
    limit = f", limit {size_words(cgroup.limit_bytes)}" if cgroup.limit_bytes is not None else ""
    return (clue("cgroup", f"{cgroup.oom_kill} killed, limit met {cgroup.at_limit} times{peak}{limit}"),)


def _kill_clues(kill: OomKill | None) -> tuple[Clue, ...]:
    return (clue("kernel log", kill.line.text),) if kill else ()


def _free_clues(scene: Scene) -> tuple[Clue, ...]:
    host = scene.facts.host
    free = (
        (clue("memory", f"{size_words(host.ram_free_bytes)} free"),)
        if host.ram_free_bytes is not None
        else ()
    )
    pressure = host.memory_pressure_avg10
    return free + (
        (clue("pressure", f"{pressure:.0f} % of the time stalled for memory"),) if pressure else ()
    )

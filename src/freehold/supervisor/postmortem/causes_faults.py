"""Rules for what a program does to itself: failed checks, crashes, wrong processors, GPU faults."""

from __future__ import annotations

import signal

from freehold.core.deaths import Clue
from freehold.supervisor.postmortem.finding import KERNEL_PROOF, REPORT_IT, SENDER_PROOF, Finding
from freehold.supervisor.postmortem.kernel_lines import Fault, GpuError
from freehold.supervisor.postmortem.scene import Scene, clip, clue, signal_name

_NEAR_DEATH_MS = 5_000
_GPU_BEFORE_MS = 120_000
_CRASHES = {
    int(signal.SIGSEGV): (85, "It crashed{where}: it touched memory that is not its own (SIGSEGV)."),
    int(signal.SIGFPE): (75, "It crashed{where} over a calculation (SIGFPE)."),
    int(signal.SIGBUS): (60, "It crashed{where}: memory or a file it had mapped was gone (SIGBUS)."),
}
_OTHER_WORDS = ("gpu-oom", "gpu-fault", "oom-global", "bad-model", "disk-full", "bad-flag", "missing-library")


def assertion(scene: Scene) -> Finding | None:
    """It ended itself because one of its own checks failed."""
    hit = scene.hit("assert")
    aborted = scene.signal == signal.SIGABRT
    if hit is None and not aborted:
        return None
    if hit is None and any((other := scene.hit(cause)) and other.weight >= 60 for cause in _OTHER_WORDS):
        return None  # it aborted over something that has a name of its own
    if hit is not None:
        weight = hit.weight if aborted or hit.weight < 90 else 85
        sentence = hit.sentence
    else:
        weight = 90 if scene.by_itself else 65
        sentence = "It ended itself (SIGABRT) without a word of why."
    if scene.stranger is not None:
        weight = min(weight, 85 if hit else 20)
    return Finding(
        cause="assert",
        weight=weight,
        sentence=sentence,
        next=REPORT_IT,
        proof="" if weight >= 90 else SENDER_PROOF,
        clues=((clue("output", hit.line),) if hit else ())
        + ((clue("signals", "SIGABRT sent by the process itself"),) if scene.by_itself else ()),
    )


def segfault(scene: Scene) -> Finding | None:
    """It crashed: SIGSEGV, SIGBUS, SIGFPE."""
    number = scene.signal or 0
    if number not in _CRASHES or scene.stranger is not None:
        return None
    fault = _fault(scene, {"segfault", "divide error", "general protection", "bad memory"})
    base, words = _CRASHES[number]
    # The kernel names the thread, which need not have the process's number.
    traced = number == signal.SIGSEGV and scene.facts.host.senders is not None
    if fault is not None and fault.pid == scene.facts.pid:
        weight = 97
    elif scene.by_kernel is not None:
        weight = 95 if scene.signal == signal.SIGSEGV else 80
    elif fault is not None and (traced or _is_ours(scene, fault)):
        weight = 92
    else:
        weight = 88 if fault else base
    where = f" in {fault.library}" if fault and fault.library else ""
    bad_memory = fault is not None and fault.what == "bad memory"
    return Finding(
        cause="segfault",
        weight=weight - (10 if scene.by_shell else 0),
        sentence="The machine's memory is damaged, and the kernel ended the server for that."
        if bad_memory
        else words.replace("{where}", where),
        next="Test the machine's memory (memtest), and replace what is broken." if bad_memory else REPORT_IT,
        proof="" if weight >= 90 else KERNEL_PROOF,
        clues=_signal_clues(scene) + _fault_clues(fault),
    )


def cpu_unsupported(scene: Scene) -> Finding | None:
    """SIGILL: built for another processor."""
    hit = scene.hit("cpu-unsupported")
    illegal = scene.signal == signal.SIGILL and scene.stranger is None
    if not illegal and (hit is None or scene.signal == signal.SIGILL):
        return None
    fault = _fault(scene, {"invalid opcode"}) if illegal else None
    weight = hit.weight if hit and not illegal else 85
    if illegal and fault is not None and fault.pid == scene.facts.pid:
        weight = 95
    elif illegal and (scene.by_kernel is not None or fault is not None):
        weight = 92 if scene.by_kernel is not None else 88
    if illegal and scene.facts.was_ready and not hit:
        weight = min(weight, 70)  # compilers also end impossible branches with an illegal instruction
    return Finding(
        cause="cpu-unsupported",
        weight=weight - (10 if scene.by_shell else 0),
        sentence=hit.sentence
        if hit
        else "It used an instruction that this processor does not have (SIGILL).",
        next="Install a build of the engine for this processor (a generic or older-CPU build).",
        proof="" if weight >= 90 else KERNEL_PROOF,
        clues=((clue("output", hit.line),) if hit else ()) + _signal_clues(scene) + _fault_clues(fault),
    )


def gpu_fault(scene: Scene) -> Finding | None:
    """The GPU or its driver broke off: proven by the driver's line in the kernel's log."""
    facts, hit = scene.facts, scene.hit("gpu-fault")
    error = _gpu_error(scene)
    if error is None and hit is None:
        return None
    if error is None:
        assert hit is not None
        return Finding(
            cause="gpu-fault",
            weight=min(hit.weight, 85),
            sentence=hit.sentence,
            next="Look for Xid lines in the kernel's log (dmesg); update the engine, then the driver.",
            proof=KERNEL_PROOF if facts.host.kernel is None else "A driver's line in the kernel's log.",
            clues=(clue("output", hit.line),),
        )
    weight = _gpu_weight(scene, error, hit.full_weight if hit else 0)
    code = f"Xid {error.xid}, " if error.xid is not None else ""
    return Finding(
        cause="gpu-fault",
        weight=weight,
        sentence=f"The GPU broke off its work ({code}{clip(error.words, 120)}).",
        next="Most often a bug: update the engine, then the driver."
        if error.by_program
        else "Reset the GPU or restart the machine; if it comes again, check power, cooling and the card.",
        proof="" if weight >= 90 else "A driver's line that names this process.",
        clues=(clue("kernel log", error.line.text), *((clue("output", hit.line),) if hit else ())),
    )


def _gpu_weight(scene: Scene, error: GpuError, words_weight: int) -> int:
    crashed = scene.failed or scene.signal in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
    named = error.pid is not None and error.pid == scene.facts.pid
    if scene.stranger is not None or scene.ordered is not None:
        return 30
    if named and crashed:
        return 95
    if crashed and words_weight >= 50:
        return 93
    if named or (crashed and error.pid is None):
        return 75
    if error.pid is not None:
        return 25  # it concerned another process
    return 60 if crashed else 45


def _gpu_error(scene: Scene) -> GpuError | None:
    """The driver's line that most likely concerns this death: one with its pid, else the newest."""
    died = scene.facts.exit.died_ms
    near = [
        e for e in scene.gpu_errors if died <= 0 or -_NEAR_DEATH_MS <= died - e.line.at_ms <= _GPU_BEFORE_MS
    ]
    named = [error for error in near if error.pid is not None and error.pid == scene.facts.pid]
    return (named or near or [None])[-1]


def _fault(scene: Scene, kinds: set[str]) -> Fault | None:
    """The kernel's line of this crash: by pid, else (it names the thread) by time."""
    fitting = [fault for fault in scene.faults if fault.what in kinds]
    by_pid = next((fault for fault in fitting if fault.pid == scene.facts.pid), None)
    if by_pid is not None:
        return by_pid
    died = scene.facts.exit.died_ms
    return next((fault for fault in fitting if abs(fault.line.at_ms - died) <= _NEAR_DEATH_MS), None)


def _is_ours(scene: Scene, fault: Fault) -> bool:
    return fault.comm in {word[:15] for word in (*scene.program.split(), *scene.facts.engine.split())}


def _signal_clues(scene: Scene) -> tuple[Clue, ...]:
    return (clue("exit", f"ended by {signal_name(scene.signal)}"),) if scene.signal is not None else ()


def _fault_clues(fault: Fault | None) -> tuple[Clue, ...]:
    return (clue("kernel log", fault.line.text),) if fault else ()

"""Rules for deaths by order and by other processes: us, strangers, terminals, parents, reboots."""

from __future__ import annotations

import re
import signal

from freehold.core.deaths import Clue, SignalSeen
from freehold.core.quantities import duration_words
from freehold.supervisor.postmortem.finding import SENDER_PROOF, Finding, logs_hint
from freehold.supervisor.postmortem.scene import CRASHES, Scene, clip, clue, signal_name

KEEPER_TOLD = "its keeper was told to end"
"""How the reason begins of the order that the keeper gives when somebody ends the keeper itself."""
_LIMITS = {
    int(signal.SIGXCPU): "its limit of processor time (RLIMIT_CPU)",
    int(signal.SIGXFSZ): "its limit of file size (RLIMIT_FSIZE)",
    int(signal.SIGSYS): "a filter of system calls (seccomp)",
}
_GOODBYE = re.compile(
    r"cleaning up before exit|received (?:second )?(?:interrupt|signal|SIG\w+)|shutting down|"
    r"KeyboardInterrupt|Finished server process",
    re.IGNORECASE,
)
USERSPACE_KILLERS = re.compile(
    r"^(?:earlyoom|systemd-oomd?|oomd|nohang|bustd|psi-?monitor|lmkd|low-memory-mo)"
)


def asked_by_us(scene: Scene) -> Finding | None:
    """Our order, written down before it was sent."""
    facts, order = scene.facts, scene.ordered
    if order is None or facts.hung or order.reason.startswith(KEEPER_TOLD):
        return None
    stranger = scene.stranger
    if stranger is not None and stranger.at_ms < order.at_ms:
        return None
    fits = _fits_order(scene)
    extra = "" if fits else f" It ended {_how(scene)} while it was being stopped."
    return Finding(
        cause="asked-by-us",
        weight=97 if fits else 85,
        sentence=f"Stopped by Freehold: {order.reason or 'an order to stop'}.{extra}",
        next="Nothing to mend." if fits else "Nothing to mend, unless it should have ended cleanly.",
        clues=(
            clue("order", f"{signal_name(order.signal)} written down before it was sent: {order.reason}"),
        ),
    )


def hung(scene: Scene) -> Finding | None:
    """We ended it because it made no progress."""
    facts = scene.facts
    if not facts.hung:
        return None
    when = "while it worked" if facts.was_ready else "before it was ready"
    probes = tuple(clue("probe", f"{probe.result} after {probe.took_ms} ms") for probe in facts.probes[-5:])
    ours = scene.ordered is not None and scene.stranger is None
    weight = 95 if ours and (scene.signal is None or not _crashed(scene)) else 60
    step = (
        f"Read {logs_hint(scene)}; if it only loads slowly, raise servers.{facts.server}.load_timeout."
        if not facts.was_ready
        else f"It is started again. If it hangs again, update the engine, and read {logs_hint(scene)}."
    )
    return Finding(
        cause="hung",
        weight=weight,
        sentence=f"It hung {when}, and Freehold ended it: {clip(facts.hung).rstrip('.')}.",
        next=step,
        proof="" if weight >= 90 else "The next hang shows whether Freehold or something else ends it.",
        clues=(clue("probes", facts.hung), *probes),
    )


def killed_by(scene: Scene) -> Finding | None:
    """Somebody else's signal, or a limit that the kernel enforces."""
    if scene.facts.exit.keeper_lost and scene.stranger is None:
        return None
    limit = _limit(scene)
    if limit is not None:
        return limit
    if scene.stranger is not None:
        return _by_stranger(scene, scene.stranger)
    if scene.by_itself and scene.signal is not None and not _crashed(scene):
        return Finding(
            cause="killed-by",
            weight=92,
            sentence=f"It sent {signal_name(scene.signal)} to itself.",
            next=f"The reason is in its own output: {logs_hint(scene)}.",
            clues=(clue("signals", f"{signal_name(scene.signal)} sent by the process itself"),),
        )
    return _by_nobody_seen(scene)


def hangup(scene: Scene) -> Finding | None:
    """SIGHUP: the terminal or session it was started from was closed."""
    seen = scene.stranger
    by_code = scene.signal is None and seen is not None and seen.signal == signal.SIGHUP
    if scene.signal != signal.SIGHUP and not by_code:
        return None
    sender = f" Sent by {_sender(seen)}." if seen else ""
    weight = (95 if seen else 92) - (10 if scene.by_shell else 0)
    return Finding(
        cause="hangup",
        weight=weight,
        sentence=f"Ended by SIGHUP, as when the terminal that a program was started from is closed.{sender}",
        next="Start it through Freehold, or with nohup or setsid: then a closed terminal ends nothing.",
        proof="" if seen else SENDER_PROOF,
        clues=_sender_clues(seen),
    )


def parent_died(scene: Scene) -> Finding | None:
    """The keeper of the process is gone, and the kernel ended the process with it."""
    order, seen = scene.ordered, scene.stranger
    if order is not None and order.reason.startswith(KEEPER_TOLD):
        return Finding(
            cause="parent-died",
            weight=92,
            sentence="The process that keeps this server was told to end (SIGTERM), and ended the server.",
            next="Find out who ends processes on this machine, for example a log-out; it is started again.",
            clues=(clue("order", order.reason),),
        )
    if not scene.facts.exit.keeper_lost:
        return None
    by_keeper = seen is not None and _is_keeper(seen)
    return Finding(
        cause="parent-died",
        weight=92 if by_keeper else 80 if seen is None else 55,
        sentence="The process that keeps this server was killed, and the kernel ended the server with it.",
        next="Find out who ends processes on this machine; the server is started again.",
        proof="" if by_keeper else SENDER_PROOF,
        clues=(clue("keeper", "gone without a note of how the server ended"), *_sender_clues(seen)),
    )


def host_reboot(scene: Scene) -> Finding | None:
    """The machine has started anew since."""
    facts = scene.facts
    if not facts.host.rebooted:
        return None
    asked = scene.signal in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP) or facts.exit.code == 0
    weight = 97 if facts.exit.keeper_lost else 80 if asked else 30
    changes = tuple(clue("host", change) for change in facts.host.changes)
    return Finding(
        cause="host-reboot",
        weight=weight,
        sentence="The machine was restarted while the server ran.",
        next="Nothing to mend in the server. If nobody restarted the machine, look at its system log.",
        proof="" if weight >= 90 else "The system log tells whether the shutdown or the death came first.",
        clues=(clue("host", "its boot id is another than at the server's start"), *changes),
    )


def _by_stranger(scene: Scene, seen: SignalSeen) -> Finding | None:
    if seen.signal == signal.SIGHUP or USERSPACE_KILLERS.match(seen.sender_comm):
        return None
    if scene.facts.exit.keeper_lost and _is_keeper(seen):
        return None
    weight, answered = 97, ""
    if scene.signal is None and not scene.facts.exit.keeper_lost:
        code = scene.facts.exit.code
        weight = 93 if code in (0, 128 + seen.signal) else 70
        answered = f", with code {code}"
    elif _crashed(scene) and scene.hits:
        weight = 60
    elif scene.by_shell:
        weight = 90
    if scene.ordered is not None:
        weight = min(weight, 75)
    if scene.facts.exit.keeper_lost:
        weight = min(weight, 85)
    return Finding(
        cause="killed-by",
        weight=weight,
        sentence=f"{signal_name(seen.signal)} sent by {_sender(seen)} ended it{answered}.",
        next=f"Ask who runs {seen.sender_comm or 'that process'} here. The server itself did nothing wrong.",
        clues=_sender_clues(seen),
    )


def _by_nobody_seen(scene: Scene) -> Finding | None:
    """A signal whose sender nobody saw: what can be excluded decides how much is left for this."""
    facts, number = scene.facts, scene.signal
    if number is None:
        return _clean_end(scene)
    if number == signal.SIGHUP or number in CRASHES or scene.by_kernel is not None:
        return None
    weight = 80
    if number == signal.SIGKILL:
        if _memory_killed(scene):
            return None
        host = facts.host
        looked = host.kernel is not None and host.cgroup is not None
        weight = 72 if looked else 60 if host.kernel is not None or host.cgroup is not None else 45
        if (host.memory_pressure_avg10 or 0) > 40:
            weight -= 15
    return Finding(
        cause="killed-by",
        weight=weight - (10 if scene.by_shell else 0),
        sentence=f"Ended with {signal_name(number)} from outside; who sent it could not be seen.",
        next="Look for scripts, service managers or people that end processes on this machine.",
        proof=SENDER_PROOF,
        clues=(clue("exit", f"ended by {signal_name(number)}, which no order of Freehold's explains"),),
    )


def _clean_end(scene: Scene) -> Finding | None:
    facts = scene.facts
    if facts.exit.code != 0 or scene.ordered is not None:
        return None
    said = next((line for line in reversed(facts.last_lines[-10:]) if _GOODBYE.search(line)), None)
    if said is None:
        return None
    return Finding(
        cause="killed-by",
        weight=60,
        sentence="It ended in good order, as after SIGTERM or SIGINT; who asked it to could not be seen.",
        next="Look for scripts, service managers or people that end processes on this machine.",
        proof=SENDER_PROOF,
        clues=(clue("output", said),),
    )


def _limit(scene: Scene) -> Finding | None:
    """A limit of the kernel: its own signals, or SIGKILL by the kernel where memory was not the reason."""
    facts, number = scene.facts, scene.signal
    what = _LIMITS.get(number or 0)
    said = next(
        (fault for fault in scene.faults if fault.what == "cpu limit" and fault.pid == facts.pid), None
    )
    weight = 92 if scene.by_kernel else 85
    if what is None and number == signal.SIGKILL and (scene.by_kernel or said) and not _memory_killed(scene):
        what = "its limit of processor time (RLIMIT_CPU)"
        weight = 95 if said else 92 if _at_a_whole_second(scene) else 75
    if what is None or scene.stranger is not None:
        return None
    used = f" It had used {duration_words(facts.exit.cpu_s)} of processor time." if facts.exit.cpu_s else ""
    return Finding(
        cause="killed-by",
        weight=weight,
        sentence=f"Ended by the kernel ({signal_name(number)}) because of {what}.{used}",
        next="Raise the limit (ulimit, or the service's Limit settings) that Freehold was started under.",
        proof="" if weight >= 90 else "The limits in force stand in /proc/PID/limits while it runs.",
        clues=(
            *_sender_clues(scene.by_kernel),
            *((clue("kernel log", said.line.text),) if said else ()),
            clue(
                "exit",
                f"{facts.exit.cpu_s or 0:.0f} s of processor time used",
            ),
        ),
    )


def _at_a_whole_second(scene: Scene) -> bool:
    """Limits of processor time are whole seconds, checked at every tick; here, with every other reason for a
    SIGKILL by the kernel excluded."""
    host, used_s = scene.facts.host, scene.facts.exit.cpu_s
    looked = host.kernel is not None and host.cgroup is not None and not host.cgroup.shared
    return looked and used_s is not None and used_s >= 1 and used_s % 1 < 0.05


def _is_keeper(seen: SignalSeen) -> bool:
    """When a keeper dies, the kernel kills the engine in the keeper's name."""
    return seen.signal == signal.SIGKILL and seen.sender_comm.startswith(("freehold", "python"))


def _memory_killed(scene: Scene) -> bool:
    cgroup = scene.facts.host.cgroup
    return bool(scene.oom_kills) or (cgroup is not None and cgroup.oom_kill > 0)


def _fits_order(scene: Scene) -> bool:
    """Whether it ended as a program does that was asked to."""
    facts = scene.facts
    signals = {order.signal for order in facts.orders}
    if facts.exit.keeper_lost or scene.signal in signals or facts.exit.code == 0:
        return True
    return scene.signal == signal.SIGKILL


def _crashed(scene: Scene) -> bool:
    return scene.signal in CRASHES


def _how(scene: Scene) -> str:
    return (
        f"by {signal_name(scene.signal)}"
        if scene.signal is not None
        else f"with code {scene.facts.exit.code}"
    )


def _sender(seen: SignalSeen) -> str:
    name = seen.sender_comm or "a process"
    return f"{name} (pid {seen.sender_pid})" if seen.sender_pid > 0 else name


def _sender_clues(seen: SignalSeen | None) -> tuple[Clue, ...]:
    if seen is None:
        return ()
    by = "the kernel" if seen.from_kernel else _sender(seen)
    return (clue("signals", f"{signal_name(seen.signal)} sent by {by}"),)

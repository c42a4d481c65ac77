"""Looks at everything at once, and gives up on what does not answer: a doctor that hangs helps nobody."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import msgspec

from freehold.adapters.host import disks, gpus, machine, programs
from freehold.adapters.host.checks import WATCHED_PORTS
from freehold.adapters.host.facts import HostFacts
from freehold.core.listen import Listen

PATIENCE_S = 8.0
"""Longer than the slowest single look (a driver's tool), shorter than a person waits."""


def collect(home: Path, env: Mapping[str, str], listen: Listen, patience_s: float = PATIENCE_S) -> HostFacts:
    """All facts that could be seen in time; the rest is named in `blind` with the reason."""
    watched = frozenset(WATCHED_PORTS) | {listen.port}
    seen, blind = look(
        {
            "python": programs.python_facts,
            "engines": lambda: programs.engines(env),
            "ports": lambda: programs.listeners(watched),
            "gpu": lambda: gpus.gpus(env),
            "memory": machine.memory,
            "disks": lambda: disks.disks(home, disks.model_folders(env)),
            "journal": disks.journal,
            "cgroup": machine.cgroup,
            "limits": machine.limits,
            "clock": machine.clock,
            "kernel": machine.kernel,
            "access": lambda: disks.access(home),
            "keys": lambda: programs.keys(env),
        },
        patience_s,
    )
    cards = cast("gpus.Gpus", seen.pop("gpu", gpus.Gpus()))
    facts = HostFacts(listen_host=listen.host, listen_port=listen.port, blind=blind)
    return msgspec.structs.replace(facts, gpus=cards.cards, gpu_troubles=cards.troubles, **seen)


def look(
    looks: Mapping[str, Callable[[], object]], patience_s: float
) -> tuple[dict[str, object], dict[str, str]]:
    """Runs all looks side by side: what each saw, and why the others saw nothing.

    Daemon threads, not a pool: a look at a dead network folder never returns, and must not keep us.
    """
    answers: queue.SimpleQueue[tuple[str, object, str | None]] = queue.SimpleQueue()

    def run(name: str, one: Callable[[], object]) -> None:
        try:
            answers.put((name, one(), None))
        except Exception as error:  # Whatever a strange machine does, the other looks go on.
            answers.put((name, None, f"{type(error).__name__}: {error}"))

    for name, one in looks.items():
        threading.Thread(target=run, args=(name, one), name=f"look-{name}", daemon=True).start()
    seen: dict[str, object] = {}
    blind: dict[str, str] = {}
    deadline = time.monotonic() + patience_s
    while len(seen) + len(blind) < len(looks):
        try:
            name, value, reason = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if reason is None:
            seen[name] = value
        else:
            blind[name] = reason
    blind |= {
        name: f"no answer in {patience_s:.0f} s" for name in looks if name not in seen and name not in blind
    }
    return seen, blind

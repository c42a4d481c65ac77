"""Rules for what keeps a server from running: port, program, model, arguments, disk."""

from __future__ import annotations

import signal

from freehold.core.deaths import Clue, DiskSeen
from freehold.supervisor.postmortem.finding import Finding, logs_hint
from freehold.supervisor.postmortem.markers import Hit
from freehold.supervisor.postmortem.scene import Scene, clue, size_words

_FULL_BYTES = 1024 * 1024
"""A disk with less than this is full for a program that wants to write."""


def port_taken(scene: Scene) -> Finding | None:
    """Somebody else listens on the port that it was given."""
    facts, hit, owner = scene.facts, scene.hit("port-taken"), scene.facts.host.port_owner
    if owner is not None and owner.pid is not None and owner.pid == facts.pid:
        owner = None
    if hit is None and (owner is None or not scene.failed or facts.was_ready):
        return None
    weight = hit.weight if hit else 60
    if hit and owner and hit.weight >= 80:
        weight = 97
    who = ""
    if owner is not None:
        who = f" by {owner.command or 'a process'}" + (f" (pid {owner.pid})" if owner.pid else "")
    port = f"Port {owner.port}" if owner else "Its port"
    return Finding(
        cause="port-taken",
        weight=weight,
        sentence=f"{port} is taken{who or ' by another program'}.",
        next=f"End that program, or move it; {facts.server} gets another port at its next start.",
        proof="" if weight >= 90 else "The port's owner: run Freehold as the same user or as root to see it.",
        clues=_hit_clues(hit)
        + ((clue("port", f"{owner.port} belongs to{who or ' another program'}"),) if owner else ()),
    )


def missing_library(scene: Scene) -> Finding | None:
    """The program, or something that it needs to run, is not there."""
    hit, code = scene.hit("missing-library"), scene.facts.exit.code
    if hit is None and code not in (126, 127):
        return None
    if hit is not None:
        weight, sentence = hit.weight, hit.sentence
    else:
        weight = 75 if not scene.facts.was_ready else 30
        sentence = (
            f"{scene.program} cannot be executed."
            if code == 126
            else f"{scene.program}, or something it needs to start, is not there."
        )
    return Finding(
        cause="missing-library",
        weight=weight,
        sentence=sentence,
        next=(hit.next if hit else "")
        or f"Install what is missing, or correct the program's path in servers.{scene.facts.server}.",
        proof="" if weight >= 90 else f"The loader's own words: {logs_hint(scene)}.",
        clues=(*_hit_clues(hit), clue("exit", f"code {code}")),
    )


def bad_model(scene: Scene) -> Finding | None:
    """The model's file is missing, cut, or nothing that the engine can read."""
    facts, hit, model = scene.facts, scene.hit("bad-model"), scene.facts.host.model
    problem = _model_problem(scene)
    if hit is None and problem is None:
        return None
    weight = hit.weight if hit else 0
    sentence = hit.sentence if hit else ""
    if problem is not None and model is not None:
        cut_in_use = scene.signal == signal.SIGBUS and scene.stranger is None
        if cut_in_use:
            weight, sentence = 94, f"Its model file was cut or replaced while it was in use ({problem})."
        elif hit is not None and hit.full_weight >= 60 and hit.weight >= 50:
            weight, sentence = 96, f"Its model cannot be loaded: {problem}."
        elif scene.failed and not facts.was_ready:
            weight, sentence = max(weight, 82), f"Its model cannot be loaded: {problem}."
        else:
            weight, sentence = max(weight, 35), sentence or f"Its model file is not whole: {problem}."
    return Finding(
        cause="bad-model",
        weight=weight,
        sentence=sentence,
        next=(hit.next if hit else "")
        or f"Check servers.{facts.server}.model: fetch it again, compare its size with the publisher's.",
        proof="" if weight >= 90 else "The model's own header, read beside the engine's words.",
        clues=(*_hit_clues(hit), *((clue("model", problem),) if problem else ())),
    )


def bad_flag(scene: Scene) -> Finding | None:
    """The engine refuses its command line."""
    hit = scene.hit("bad-flag")
    if hit is None:
        return None
    return Finding(
        cause="bad-flag",
        weight=hit.weight,
        sentence=hit.sentence,
        next=hit.next
        or f"Correct servers.{scene.facts.server}.args; the engine's --help lists what it knows.",
        proof="" if hit.weight >= 90 else f"The engine's own words: {logs_hint(scene)}.",
        clues=_hit_clues(hit),
    )


def disk_full(scene: Scene) -> Finding | None:
    """No room where it wanted to write."""
    hit, full = scene.hit("disk-full"), _full_disk(scene)
    if hit is None and full is None:
        return None
    if hit is not None:
        weight = 96 if full and hit.weight >= 80 else hit.weight
    elif scene.signal == signal.SIGBUS and scene.stranger is None:
        weight = 72  # a mapped file could not grow
    else:
        weight = 45 if scene.failed else 20
    where = f" {full.path}" if full else ""
    return Finding(
        cause="disk-full",
        weight=weight,
        sentence=f"The disk{where} is full." if where else "A disk is full.",
        next=f"Free some room{' on' + where if where else ''}, then start {scene.facts.server} again.",
        proof="" if weight >= 90 else "Free room of the disk that it writes to, at the moment of its end.",
        clues=(*_hit_clues(hit), *((_disk_clue(full),) if full else ())),
    )


def _model_problem(scene: Scene) -> str | None:
    model = scene.facts.host.model
    if model is None:
        return None
    if not model.exists:
        return f"{model.path} is not there"
    size, expected = model.size_bytes, model.expected_bytes
    if size is not None and expected is not None and size < expected:
        return f"{model.path} has {size_words(size)} of {size_words(expected)}"
    return f"{model.path}: {model.problem}" if model.problem else None


def _full_disk(scene: Scene) -> DiskSeen | None:
    return next(
        (disk for disk in scene.facts.host.disks if disk.free_bytes < _FULL_BYTES or disk.free_inodes == 0),
        None,
    )


def _disk_clue(disk: DiskSeen) -> Clue:
    inodes = ", no inodes left" if disk.free_inodes == 0 else ""
    return clue(
        "disk", f"{disk.path}: {size_words(disk.free_bytes)} of {size_words(disk.total_bytes)} free{inodes}"
    )


def _hit_clues(hit: Hit | None) -> tuple[Clue, ...]:
    return (clue("output", hit.line),) if hit else ()

"""What shadow evaluation found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.web.money import ShadowTask, ShadowView


def shadow_lines(view: ShadowView) -> Iterator[str]:
    """One line for each kind of task, and what the others below the first could have done."""
    for task in view.tasks:
        if task.compared:
            yield f"{_name(task)}: could have been local: {_share(task.good, task.compared)}"
        for place in task.places:
            if place.tier != "local":
                words = f"could have been {place.deployment} ({place.tier})"
                yield f"{_name(task)}: {words}: {_share(place.good, place.compared)}"


def _name(task: ShadowTask) -> str:
    return task.task or "other"


def _share(good: int, compared: int) -> str:
    return f"{100 * good / compared:.0f} % ({good} of {compared} compared)"

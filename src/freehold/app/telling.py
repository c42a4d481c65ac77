"""What a running Freehold says of itself: steps of its life, to whoever started it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec

from freehold.core.progress import Progress
from freehold.core.servers import ServerView

Report = Callable[[Progress], None]


class Teller:
    """Hands progress to `report`."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def say(self, stage: str, text: str, *, warn: bool = False, **data: object) -> None:
        """A short sentence for a person; `data` says the same to a program."""
        kind = msgspec.convert(
            {"stage": stage, "text": text, "data": data, "level": "warn" if warn else "info"}, Progress
        )
        self.tell(kind)

    def warn(self, stage: str, text: str) -> None:
        """What a person should not overlook."""
        self.say(stage, text, warn=True)

    def tell(self, progress: Progress) -> None:
        """A terminal that was closed, or a full disk behind a pipe, must not end what serves."""
        with contextlib.suppress(OSError):
            self._report(progress)

    def server_changed(self, view: ServerView) -> None:
        failed = view.state.value in ("failed", "backoff")
        text = f"model server {view.name}: {view.state.value}" + (f" ({view.detail})" if view.detail else "")
        self.say("server", text, warn=failed, name=view.name, state=view.state.value)

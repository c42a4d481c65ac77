"""A function whose first call, in a thread, is held up until the test lets it go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class HeldUp:
    """`begun`: the first call is there. It goes on after `go_on`, and then `ended` is set."""

    def __init__(self, work: Callable[..., None]) -> None:
        self._work = work
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> None:
        first = not self.begun.is_set()
        self.begun.set()
        if first:
            self.go_on.wait(60)
        self._work(*arguments)
        if first:
            self.ended.set()

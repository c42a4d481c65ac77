"""The state of one server as everybody sees it, and those who wait for it to change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from freehold.core.clock import Clock
from freehold.core.servers import ServerSpec, ServerState, ServerView
from freehold.supervisor import lifecycle

OnChange = Callable[[ServerView], None]


class Status:
    """Owned by a `ManagedServer`; only its life moves it. `on_change` is called on the loop after every
    change, and must not raise."""

    def __init__(self, spec: ServerSpec, clock: Clock, on_change: OnChange) -> None:
        self._clock = clock
        self._on_change = on_change
        self._waiters: dict[int, OnChange] = {}
        self._next_waiter = 0
        self.view = ServerView(
            name=spec.name,
            engine=spec.engine,
            model=spec.model,
            model_id=spec.upstream_id,
            state=ServerState.STOPPED,
            since_ms=clock.now_ms(),
        )
        self.use(spec)

    @property
    def state(self) -> ServerState:
        return self.view.state

    def use(self, spec: ServerSpec) -> None:
        """Show another specification."""
        self._set(
            engine=spec.engine,
            model=spec.model,
            model_id=spec.upstream_id,
            ours=not spec.adopt,
            slots=spec.slots,
            context=spec.context,
            priority=spec.priority,
            pin=spec.pin,
        )

    def move(self, state: ServerState, detail: str = "", **changes: object) -> None:
        """Into another state. Raises `IllegalMoveError` when it cannot follow."""
        lifecycle.check_move(self.view.state, state)
        self._set(state=state, detail=detail, since_ms=self._clock.now_ms(), **changes)
        self._on_change(self.view)
        if state not in lifecycle.WAITED_FOR:
            for number in list(self._waiters):
                asyncio.get_running_loop().call_soon(self._answer_one, number)

    def update(self, **changes: object) -> None:
        """Same state, other facts."""
        self._set(**changes)
        self._on_change(self.view)

    def when_ready(self, callback: OnChange) -> Callable[[], None]:
        """See `ModelServers.when_ready`."""
        number = self._next_waiter
        self._next_waiter += 1
        self._waiters[number] = callback
        if self.view.state not in lifecycle.WAITED_FOR:
            asyncio.get_running_loop().call_soon(self._answer_one, number)
        return lambda: self._forget(number)

    def _set(self, **changes: object) -> None:
        self.view = msgspec.structs.replace(self.view, **changes)

    def _forget(self, number: int) -> None:
        self._waiters.pop(number, None)

    def _answer_one(self, number: int) -> None:
        if self.view.state in lifecycle.WAITED_FOR:
            return  # it died between the move and this answer: wait on
        if callback := self._waiters.pop(number, None):
            callback(self.view)

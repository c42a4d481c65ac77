"""A verdict that a held answer waits for: what comes of it is decided in `escalating`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from freehold.routing.validating import Verdict

if TYPE_CHECKING:
    from freehold.gateway.gateway import Gateway


class Checking:
    """Calls `then` once with the verdict, unless it is stopped before."""

    def __init__(
        self, gateway: Gateway, verdict: Coroutine[None, None, Verdict], then: Callable[[Verdict], None]
    ) -> None:
        self._then: Callable[[Verdict], None] | None = then
        self._task = gateway.keep(self._through(verdict))

    def stop(self) -> None:
        """Nobody waits for it any longer: the validator is ended."""
        self._then = None
        self._task.cancel()

    async def _through(self, verdict: Coroutine[None, None, Verdict]) -> None:
        try:
            found = await verdict
        except Exception as error:  # the call waits for a verdict, whatever becomes of the validator
            found = Verdict(None, f"the check broke off: {type(error).__name__}")
        then, self._then = self._then, None
        if then is not None:
            then(found)

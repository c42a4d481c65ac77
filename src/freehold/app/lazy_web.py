"""The control application, imported at its first request: FastAPI costs a tenth of a second and 25 MB
that a machine which only serves models need not pay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.gateway.asgi import AsgiApp, Receive, Scope, Send

if TYPE_CHECKING:
    from freehold.web.control import Control


class LazyControlApp:
    """An ASGI application that builds the real one when it is first needed, in a worker thread."""

    def __init__(self) -> None:
        self._make: Callable[[], Control] | None = None
        self._app: AsgiApp | None = None
        self._building = asyncio.Lock()

    def use(self, make: Callable[[], Control]) -> None:
        """`make` answers what the application asks; called once, when it is first needed."""
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._building:
                if self._app is None:
                    self._app = await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)

    def _build(self) -> AsgiApp:
        from freehold.web.api import create_app  # noqa: PLC0415 - see the module

        assert self._make is not None
        return create_app(self._make())

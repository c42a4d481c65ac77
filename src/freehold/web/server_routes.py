"""The routes about model servers, the memory plan and the configuration: questions, and orders."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path, Query

from freehold.core.deaths import Certificate
from freehold.core.memory import MachineMemory
from freehold.web.answers import Json, Route
from freehold.web.control import Control, LogView, PlanView, ReloadPlan, ServerAction, ServerView

ServerName = Annotated[str, Path(description="The server's name.", max_length=200)]


class _ServerApi:
    """Coroutines answer on the event loop; plain methods read files, in worker threads."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def servers(self) -> Json:
        """The model servers that Freehold runs or watches."""
        await self._control.refresh()
        return Json(self._control.servers())

    async def server(self, name: ServerName) -> Json:
        """One model server."""
        await self._control.refresh()
        for server in self._control.servers():
            if server.name == name:
                return Json(server)
        raise self._unknown(name)

    async def start(self, name: ServerName) -> Json:
        """Start a server, also one that has failed. Answers when the start is under way."""
        return await self._act(name, "start")

    async def stop(self, name: ServerName) -> Json:
        """Let calls under way end (within bounds), then stop the server. The next call starts it again."""
        return await self._act(name, "stop")

    async def restart(self, name: ServerName) -> Json:
        """Stop it and start it again; calls that wait go on waiting."""
        return await self._act(name, "restart")

    async def take_over(self, name: ServerName) -> Json:
        """Make an adopted server ours, to be stopped and started like the others."""
        return await self._act(name, "take-over")

    async def _act(self, name: str, action: ServerAction) -> Json:
        try:
            return Json(await self._control.act(name, action))
        except KeyError:
            raise self._unknown(name) from None

    def deaths(
        self, name: ServerName, limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 20
    ) -> Json:
        """Why it died, the newest death first."""
        self._known(name)
        return Json(self._control.certificates(name, limit))

    def log(
        self,
        name: ServerName,
        lines: Annotated[int, Query(ge=0, le=10_000, description="How many of the last lines.")] = 100,
        since: Annotated[
            int | None, Query(ge=0, description="Instead: what came since this position (`next`).")
        ] = None,
    ) -> Json:
        """What it printed, of this and earlier runs."""
        try:
            return Json(self._control.log(name, lines, since))
        except KeyError:
            raise self._unknown(name) from None

    def _known(self, name: str) -> None:
        if all(server.name != name for server in self._control.servers()):
            raise self._unknown(name)

    def _unknown(self, name: str) -> HTTPException:
        known = ", ".join(server.name for server in self._control.servers())
        return HTTPException(
            404, f"there is no server {name!r}; {f'there are {known}' if known else 'nor any other'}"
        )

    def machine(self) -> Json:
        """Memory of this machine now: RAM, and each GPU."""
        return Json(self._control.machine())

    async def plan(self) -> Json:
        """What fits into this machine's memory together, where, and what would have to go for what."""
        return Json(await self._control.plan())

    async def reload(
        self,
        dry_run: Annotated[bool, Query(description="Only say what would be done.")] = False,
    ) -> Json:
        """Read the configuration again and apply what changed, one server at a time, dropping no call."""
        return Json(await self._control.reload(dry_run=dry_run))


def server_routes(control: Control) -> tuple[Route, ...]:
    api = _ServerApi(control)
    one = "/servers/{name}"
    return (
        Route("/servers", api.servers, list[ServerView], "Model servers"),
        Route(one, api.server, ServerView, "One model server"),
        Route(f"{one}/start", api.start, ServerView, "Start a server", "POST"),
        Route(f"{one}/stop", api.stop, ServerView, "Stop a server", "POST"),
        Route(f"{one}/restart", api.restart, ServerView, "Restart a server", "POST"),
        Route(f"{one}/take-over", api.take_over, ServerView, "Take an adopted server over", "POST"),
        Route(f"{one}/deaths", api.deaths, list[Certificate], "Why a server died"),
        Route(f"{one}/log", api.log, LogView, "What a server printed"),
        Route("/machine", api.machine, MachineMemory, "Memory of the machine"),
        Route("/plan", api.plan, PlanView, "Memory plan"),
        Route("/config/reload", api.reload, ReloadPlan, "Reload the configuration", "POST"),
    )

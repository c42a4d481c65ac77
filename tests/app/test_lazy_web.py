"""The control application is made at its first request, once, and costs nothing before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, cast

from freehold.app.lazy_web import LazyControlApp
from freehold.web.control import Control, HealthView


class Answers:
    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    async def send(self, message: Any) -> None:
        self.said.append(message)

    @property
    def status(self) -> int:
        return self.said[0]["status"]


class Healthy:
    money = telemetry = None
    """Not asked here."""

    def __init__(self, *problems: str) -> None:
        self._problems = problems

    def health(self) -> HealthView:
        return HealthView(ok=not self._problems, problems=self._problems)


def lazy_over(control: Healthy) -> LazyControlApp:
    app = LazyControlApp()
    app.use(lambda: cast(Control, control))
    return app


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "server": None,
        "client": None,
        "state": {},
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_the_first_requests_wait_for_one_and_the_same_application():
    app = lazy_over(Healthy())
    asked = [Answers() for _ in range(3)]
    await asyncio.gather(*(app(scope("/api/v1/health"), receive, one.send) for one in asked))
    assert [one.status for one in asked] == [200, 200, 200]


async def test_what_the_application_does_not_know_it_says_itself():
    app, answers = lazy_over(Healthy()), Answers()
    await app(scope("/nowhere"), receive, answers.send)
    assert answers.status == 404


def test_serving_models_imports_no_web_framework():
    """The import of the composition root is part of every start."""
    heavy = ("fastapi", "starlette", "pydantic")
    probe = f"import sys, freehold.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

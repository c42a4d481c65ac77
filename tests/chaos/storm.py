"""A storm over a running Freehold: calls, and beside them kills, hangs, orders and reloads; clients leave.

Everything is real: processes, signals, sockets, the configuration file. What must hold is judged afterwards,
by `judge`, from what the clients saw and what the ledger says.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil

from tests.house import House

NAMES = ("ash", "birch", "cedar", "elm")
EXTRA = "fir"
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGSTOP, signal.SIGABRT)
PATIENCE_S = 60.0
SETTLE_S = 20.0
"""For connections of clients that left, and to servers that ended, to be closed from the other side."""
_WORD = "storm "
_WINDS = 3
"""Deeds that may be under way at the same time."""


def server(slots: int, tokens: int = 12) -> dict[str, Any]:
    """A command server that answers well; the storm does the rest to it."""
    argv = [sys.executable, "-m", "freehold.testing.unruly", "--port", "{port}", "--tokens", str(tokens)]
    return {
        "command": argv,
        "slots": slots,
        "start": "always",
        "restart": {"tries": 10_000, "interval": "1s", "delay": 0.05, "longest_delay": 0.2},
        "stall_timeout": 5,
        "drain_timeout": 2,
        "stop_timeout": 1,
        "max_wait": 20,
    }


def configuration() -> dict[str, Any]:
    return {
        "servers": {name: server(slots=3) for name in NAMES},
        "models": {"any": list(NAMES)},
    }


@dataclass
class Seen:
    """How one call ended for its client."""

    session: str
    model: str
    stream: bool
    how: str = "open"
    """answered, error, left; anything else is a fault of ours."""
    detail: str = ""
    began_answer: bool = False


@dataclass
class Storm:
    """Runs for `seconds`; `calls` and `deeds` say what happened."""

    house: House
    seconds: float
    clients: int = 24
    seed: int = 1
    calls: list[Seen] = field(default_factory=list[Seen])
    deeds: Counter[str] = field(default_factory=Counter[str])
    pids: set[int] = field(default_factory=set[int])

    async def run(self) -> None:
        self._end = time.monotonic() + self.seconds
        self._chance = random.Random(self.seed)
        limits = httpx.Limits(max_connections=self.clients * 2, max_keepalive_connections=self.clients)
        async with httpx.AsyncClient(base_url=self.house.url, timeout=PATIENCE_S, limits=limits) as http:
            async with asyncio.TaskGroup() as group:
                for number in range(self.clients):
                    group.create_task(self._client(http, random.Random(self.seed * 1000 + number), number))
                for number in range(_WINDS):
                    group.create_task(self._weather(http, random.Random(self.seed * 100 + number)))
            await self._quiet(http)
            await self._stop_all(http)

    # -- clients

    async def _client(self, http: httpx.AsyncClient, chance: random.Random, number: int) -> None:
        count = 0
        while time.monotonic() < self._end:
            count += 1
            seen = Seen(f"s{number}-{count}", chance.choice((*NAMES, "any", "any")), chance.random() < 0.6)
            self.calls.append(seen)
            leaves_after_s = chance.uniform(0.005, 0.2) if chance.random() < 0.1 else None
            try:
                async with asyncio.timeout(leaves_after_s):
                    await self._call(http, seen)
            except TimeoutError:
                seen.how = "left"
            except httpx.HTTPError as error:
                seen.how, seen.detail = "broken", f"{type(error).__name__}: {error}"

    async def _call(self, http: httpx.AsyncClient, seen: Seen) -> None:
        body = {
            "model": seen.model,
            "stream": seen.stream,
            "messages": [{"role": "user", "content": _WORD * 20 + seen.session}],
        }
        headers = {"x-freehold-session": seen.session}
        path = "/v1/chat/completions"
        async with http.stream("POST", path, json=body, headers=headers) as response:
            seen.began_answer = True
            text = (await response.aread()).decode()
        if response.status_code != 200:
            error = json.loads(text)["error"]
            seen.how, seen.detail = "error", f"{response.status_code} {error.get('code') or error['type']}"
        elif not seen.stream:
            json.loads(text)["choices"][0]["message"]
            seen.how = "answered"
        elif text.rstrip().endswith("data: [DONE]"):
            seen.how = "answered"
        elif '"error"' in text:
            seen.how, seen.detail = "error", "told in the stream"
        else:
            seen.how, seen.detail = "cut", text[-200:]

    # -- weather

    async def _weather(self, http: httpx.AsyncClient, chance: random.Random) -> None:
        deeds = (self._signal, self._signal, self._signal, self._order, self._reload)
        while time.monotonic() < self._end:
            await asyncio.sleep(chance.uniform(0.1, 0.8))
            await chance.choice(deeds)(http)

    async def _servers(self, http: httpx.AsyncClient) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await http.get("/api/v1/servers")).json()
        self.pids |= {one["pid"] for one in found if one["pid"]}
        return found

    async def _signal(self, http: httpx.AsyncClient) -> None:
        running = [one for one in await self._servers(http) if one["pid"]]
        if not running:
            return
        number = self._chance.choice(SIGNALS)
        try:
            os.kill(self._chance.choice(running)["pid"], number)
            self.deeds[number.name] += 1
        except ProcessLookupError:
            self.deeds["gone already"] += 1

    async def _order(self, http: httpx.AsyncClient) -> None:
        action = self._chance.choice(("stop", "restart", "start"))
        name = self._chance.choice(NAMES)
        answer = await http.post(f"/api/v1/servers/{name}/{action}")
        assert answer.status_code == 200, answer.text
        self.deeds[action] += 1

    async def _reload(self, http: httpx.AsyncClient) -> None:
        wanted = configuration()
        changed = self._chance.choice(NAMES)
        wanted["servers"][changed] = server(self._chance.randint(2, 4), self._chance.randint(8, 16))
        if self._chance.random() < 0.5:
            wanted["servers"][EXTRA] = server(slots=1)
        self.house.write_config(wanted)
        answer = await http.post("/api/v1/config/reload")
        assert answer.status_code == 200, answer.text
        assert not answer.json().get("problems"), answer.text
        self.deeds["reload"] += 1

    async def _stop_all(self, http: httpx.AsyncClient) -> None:
        """What is still open afterwards belongs to nobody."""
        for one in await self._servers(http):
            answer = await http.post(f"/api/v1/servers/{one['name']}/stop")
            assert answer.status_code == 200, answer.text

    async def _quiet(self, http: httpx.AsyncClient) -> None:
        """Until nothing is under way any more; orphans of a bug would be here for ever."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status = (await http.get("/api/v1/status")).json()
                busy = sum(one["in_flight"] + one["queued"] for one in await self._servers(http))
                if not status["in_flight"] and not busy:
                    return
                await asyncio.sleep(0.1)


def judge(storm: Storm) -> list[str]:
    """What did not hold; empty when all did."""
    faults = [
        f"{seen.session} for {seen.model} (stream {seen.stream}): {seen.how} {seen.detail}"
        for seen in storm.calls
        if seen.how not in ("answered", "error", "left")
    ]
    receipts = Counter(receipt.session for receipt in storm.house.receipts())
    for seen in storm.calls:
        count = receipts[seen.session]
        if count > 1 or (count == 0 and (seen.how != "left" or seen.began_answer)):
            faults.append(f"{seen.session} ({seen.how}) has {count} receipts")
    return faults


def leftovers(folder: Path, pids: set[int]) -> list[str]:
    """Processes that a stopped Freehold left behind."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        ours = process.info["pid"] in pids and "unruly" in words
        if (ours or str(folder) in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.info['pid']}: {words}")
    return found


def descriptors(house: House) -> int:
    """Open files and sockets of Freehold itself."""
    return house.process.num_fds()


def settled(house: House, most: int) -> int:
    """The same, once there are no more than `most`; or after a while, however many there are."""
    deadline = time.monotonic() + SETTLE_S
    while (count := descriptors(house)) > most and time.monotonic() < deadline:
        time.sleep(0.1)
    return count


def summary(storm: Storm) -> str:
    """What happened, for a person."""
    ends = Counter(seen.how for seen in storm.calls)
    errors = Counter(seen.detail for seen in storm.calls if seen.how == "error")
    return f"{len(storm.calls)} calls: {dict(ends)}; errors: {dict(errors)}; deeds: {dict(storm.deeds)}"

"""Token counting for upstreams that do not offer it in the client's dialect.

A llama.cpp server renders its own chat template and tokenizes with its own vocabulary, so its count is
exact. Elsewhere the count is an estimate by size, and says so in `x-freehold-lossy`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from freehold.core.errors import CallError
from freehold.dialects.context import TranslationError
from freehold.gateway import replies
from freehold.gateway.call import Call
from freehold.gateway.connection import ServerConnection
from freehold.gateway.facts import Facts
from freehold.gateway.fetch import FetchError, NoAnswerError, fetch_json
from freehold.gateway.prepare import Prepared, prepare_same, prepare_translated
from freehold.gateway.record import TEXT_BYTES_PER_TOKEN
from freehold.gateway.request import Request
from freehold.gateway.settle import settle
from freehold.gateway.targets import Target

if TYPE_CHECKING:
    from freehold.gateway.gateway import Gateway

_FETCH_S = 60.0


class CountCall(Call):
    """`/v1/messages/count_tokens` and `/v1/responses/input_tokens`."""

    def __init__(self, gateway: Gateway, conn: ServerConnection, request: Request, facts: Facts) -> None:
        super().__init__(gateway, conn, request, facts)
        self._task: asyncio.Task[None] | None = None

    def prepare(self, target: Target) -> Prepared | CallError:
        if self.dialect in target.native:
            return prepare_same(self.request.body, self.seen, target, self.dialect, self.request.target)
        return prepare_translated(
            self.request.body, target, self.dialect, answer_id=self.id, created_s=self.started_ms // 1000
        )

    def send_to(self, target: Target) -> None:
        if self.dialect in target.native:
            super().send_to(target)
            return
        self.target = target
        self._begin_try(target)
        self._task = self.gateway.keep(self._count(target))

    async def _count(self, target: Target) -> None:
        try:
            prepared = self.prepare(target)
            assert isinstance(prepared, Prepared)
        except TranslationError as error:
            self.refuse(error.error)
            return
        self.prepared = prepared
        tokens = 0
        if target.deployment.server is not None:
            try:
                tokens = await self._exact(target, prepared)
            except (FetchError, msgspec.MsgspecError, KeyError) as error:
                self.give_back(failed=isinstance(error, NoAnswerError))
                self.losses = ("estimated_tokens",)
                self.tries[-1].error = str(error)
        else:
            self.losses = ("estimated_tokens",)
        if not tokens:
            tokens = max(1, len(prepared.body) // TEXT_BYTES_PER_TOKEN)
        if not self.settled:
            self._answer(tokens)

    async def _exact(self, target: Target, prepared: Prepared) -> int:
        pool, origin = self.gateway.pool, target.origin
        fields = msgspec.json.decode(prepared.body, type=dict[str, msgspec.Raw])
        chat = msgspec.json.encode({name: fields[name] for name in ("messages", "tools") if name in fields})
        status, rendered = await fetch_json(pool, origin, b"/apply-template", chat, timeout_s=_FETCH_S)
        if status != 200:
            raise FetchError(f"/apply-template answered {status}")
        prompt = msgspec.json.decode(
            msgspec.json.decode(rendered, type=dict[str, msgspec.Raw])["prompt"], type=str
        )
        wanted = msgspec.json.encode({"content": prompt, "parse_special": True})
        status, counted = await fetch_json(pool, origin, b"/tokenize", wanted, timeout_s=_FETCH_S)
        if status != 200:
            raise FetchError(f"/tokenize answered {status}")
        tokens = msgspec.json.decode(counted, type=dict[str, msgspec.Raw])["tokens"]
        return len(msgspec.json.decode(tokens, type=list[msgspec.Raw]))

    def _answer(self, tokens: int) -> None:
        self.tries[-1].status = 200
        self.tries[-1].ended_ns = time.perf_counter_ns()
        kind = {"object": "response.input_tokens"} if self.dialect == "responses" else {}
        body = msgspec.json.encode({**kind, "input_tokens": tokens})
        self.count_response(body)
        self.status = 200
        settle(self, "ok")
        extra = [(b"x-freehold-receipt", self.id.encode())]
        if self.losses:
            extra.append((b"x-freehold-lossy", ", ".join(self.losses).encode()))
        self.conn.write(replies.whole(200, body, extra=extra))
        self.conn.done()

    def drop_upstream(self) -> None:
        if self._task is not None and not self._task.done() and self._task is not asyncio.current_task():
            self._task.cancel()
        super().drop_upstream()

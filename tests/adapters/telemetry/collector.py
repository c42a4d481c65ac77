"""A collector on loopback that answers as it was told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Collector:
    """Gives the prepared answers in turn, the last one for ever; None hangs up without a word."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.url = ""
        self.hang_up_after_answer = False
        self.gone = asyncio.Event()
        self.asked = asyncio.Event()
        self.serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving[task] = writer
        await self.serve(reader, writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = dict(line.split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(fields["content-length"]))
                self.requests.append((head[0], fields, body))
                self.asked.set()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self.hang_up_after_answer:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.gone.set()

    async def close(self) -> None:
        """Hang up on whoever is still there."""
        for writer in self.serving.values():
            writer.close()
        await asyncio.gather(*self.serving)


@contextlib.asynccontextmanager
async def collector(*answers: bytes | None) -> AsyncGenerator[Collector]:
    it = Collector(*answers)
    server = await asyncio.start_server(it.begin, "127.0.0.1", 0)
    async with server:
        it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield it
        server.close()
        await asyncio.gather(*it.serving)


def refusal(status: int, *fields: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} No", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body

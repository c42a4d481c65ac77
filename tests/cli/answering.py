"""Something that answers like a running Freehold, for the commands that ask one."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec

from freehold.core.progress import RUN_FILE, Running


@contextmanager
def answering(home: Path) -> Generator[Running8400]:
    """One that `run.json` in the state folder points to."""
    with Running8400() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        home.mkdir(exist_ok=True)
        note = Running(url=server.url, pid=7, started_ms=1)
        (home / RUN_FILE).write_bytes(msgspec.json.encode(note))
        try:
            yield server
        finally:  # also when the test fails: its thread would keep the tests' process from ending
            server.shutdown()
            thread.join()


class Running8400(HTTPServer):
    """`answers` maps paths to statuses and bodies; `asked` remembers methods and paths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str | None] = []
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Running8400)
        self.server.keys.append(self.headers.get("authorization"))
        self.server.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("content-length") or 0))  # what is unread at the end is a reset
        missing = (404, b'{"error": {"code": "not_found", "message": "there is no such thing"}}')
        status, body = self.server.answers.get(self.path, missing)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

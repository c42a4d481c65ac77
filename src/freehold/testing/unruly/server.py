"""What the unruly server answers: one thread for each connection, and a moment at which it dies."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from freehold.testing.unruly import ends
from freehold.testing.unruly.flags import Flags


class Unruly(ThreadingHTTPServer):
    """The listening socket and what all connections share."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.ready = False
        self.hung = False
        self.calls = 0
        self.lock = threading.Lock()
        self.mapped = _map(flags.model)
        self.memory: list[bytearray] = []
        super().__init__(("127.0.0.1", flags.port), Connection)

    def load(self) -> None:
        """What stands between listening and being ready."""
        if self.flags.die_after == "bind":
            self.die()
        self.memory = ends.take_memory(self.flags.load_mib)
        time.sleep(self.flags.load_s)
        self.ready = True
        ends.say("main: server is listening, model loaded")

    def begin_call(self, prompt: str) -> int:
        """The number of this call, counted from 1."""
        if self.flags.poison and self.flags.poison in prompt:
            self.die()
        with self.lock:
            self.calls += 1
            return self.calls

    def at(self, moment: str) -> None:
        """Die, if this is the moment."""
        if self.flags.die_after == moment:
            self.die()

    def die(self) -> None:
        for number in range(self.flags.chatter):
            ends.say(f"slot update_slots: id {number % 4} | idle talk")
        if self.flags.how == "hang":
            self.hung = True
        ends.end(self.flags.how)

    def touch_model(self) -> None:
        """Read every page of the mapped file, as a forward pass does."""
        if self.mapped is not None:
            for at in range(0, len(self.mapped), mmap.PAGESIZE):
                self.mapped[at]


class Connection(BaseHTTPRequestHandler):
    """One connection, keep-alive."""

    protocol_version = "HTTP/1.1"

    @property
    def house(self) -> Unruly:
        """`server`, as what it is."""
        assert isinstance(self.server, Unruly)
        return self.server

    def do_GET(self) -> None:
        self._hang_if_told()
        if self.path not in ("/health", "/v1/health", "/v1/models"):
            self._answer(404, {"error": {"message": "no such path"}})
        elif not self.house.ready:
            error = {"message": "Loading model", "type": "unavailable_error", "code": 503}
            self._answer(503, {"error": error})
        elif self.path == "/v1/models":
            self._answer(200, {"object": "list", "data": [{"id": "unruly", "object": "model"}]})
        else:
            self._answer(200, {"status": "ok"})
            self.house.at("ready")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._hang_if_told()
        if self.house.flags.mute:
            ends.hang()
        asked: dict[str, Any] = json.loads(body or b"{}")
        prompt = json.dumps(asked.get("messages", asked.get("prompt", "")), ensure_ascii=False)
        number = self.house.begin_call(prompt)
        self.house.touch_model()
        if self.path == "/completion":
            self._answer(200, {"content": "word", "stop": True, "tokens_predicted": 1})
        elif asked.get("stream"):
            self._stream(number)
        else:
            words = "".join(self._words(number))
            choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
            self._answer(200, _completion("chat.completion", choice) | {"usage": self._usage()})
        self.house.at(f"{number}-calls")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what it prints is part of the tests."""

    def _hang_if_told(self) -> None:
        if self.house.hung:
            ends.hang()

    def _words(self, number: int) -> list[str]:
        words: list[str] = []
        for at in range(self.house.flags.tokens):
            words.append(self._word(number, at))
        return words

    def _word(self, number: int, at: int) -> str:
        self._hang_if_told()
        if at == 2:
            self.house.at(f"in-call-{number}")
        time.sleep(self.house.flags.token_s)
        return f"word{at} "

    def _stream(self, number: int) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for at in range(self.house.flags.tokens):
            delta = {"index": 0, "delta": {"content": self._word(number, at)}, "finish_reason": None}
            self._event(json.dumps(_completion("chat.completion.chunk", delta)))
        last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self._event(json.dumps(_completion("chat.completion.chunk", last) | {"usage": self._usage()}))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _usage(self) -> dict[str, int]:
        count = self.house.flags.tokens
        return {"prompt_tokens": 5, "completion_tokens": count, "total_tokens": 5 + count}

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def serve(flags: Flags) -> int:
    """Run until it dies or is asked to end."""
    for line in flags.say:
        ends.say(line)
    _arrange_signals(flags)
    flags.children = [_sleeper() for _ in range(flags.grandchildren)]
    if flags.worker:
        threading.Thread(target=_live_with, args=(_sleeper(),), daemon=True).start()
    if flags.die_after == "start":
        if flags.how == "hang":
            ends.hang()
        ends.end(flags.how)
    try:
        server = Unruly(flags)
    except OSError as error:
        ends.say(f"start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: {flags.port}")
        ends.say(f"main: {error.strerror}")
        return 1
    threading.Thread(target=server.load, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


def _arrange_signals(flags: Flags) -> None:
    if flags.raw_term:
        return
    if flags.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return

    def leave_well(number: int, _frame: object) -> None:
        ends.say(f"srv operator(): cleaning up before exit ({signal.Signals(number).name})")
        ends.leave(0)

    signal.signal(signal.SIGTERM, leave_well)
    signal.signal(signal.SIGINT, leave_well)


def _sleeper() -> subprocess.Popen[bytes]:
    """A child that does nothing; the kernel does not end it with its parent."""
    program = "import signal; signal.pause()"
    return subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, "-I", "-S", "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def _live_with(worker: subprocess.Popen[bytes]) -> None:
    ends.say(f"main: worker is process {worker.pid}")
    status = worker.wait()
    ends.say(f"main: the worker died with {status}; this server cannot go on")
    ends.leave(1)


def _map(path: str) -> mmap.mmap | None:
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        ends.say(f"gguf_init_from_file: failed to open GGUF file '{path}' ({error})")
        ends.say("main: error: unable to load model")
        os._exit(1)


def _completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": "unruly-1", "object": kind, "created": 0, "model": "unruly", "choices": [choice]}

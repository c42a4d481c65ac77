"""One OTLP/HTTP request to a collector, and what its answer means: taken, later again, or never.

opentelemetry.io/docs/specs/otlp "OTLP/HTTP": 429, 502, 503 and 504 may be sent again, after `Retry-After`
where it is given; so may what never had an answer. All other refusals are final. When to send again, the
caller decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httptools
import msgspec

from freehold.adapters.telemetry.signals import Signal
from freehold.adapters.telemetry.wire import WireError, fields
from freehold.core.clock import Clock, SystemClock

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

TIMEOUT_S = 10.0
"""For one request as a whole, as OpenTelemetry's exporters have it."""
LONGEST_ANSWER = 256 * 1024
LONGEST_RETRY_S = 300.0
"""A collector that wants to be left alone for longer is asked again all the same."""
_AGAIN = (429, 502, 503, 504)
_PART = 16 * 1024
_LONGEST_WORDS = 200
_MESSAGE = 2
"""Field `error_message` of a partial success; the message itself is field 1 of the answer."""


class SendOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request."""

    state: Literal["sent", "again", "rejected"]
    """`again`: it was not taken now and may be later."""
    status: int = 0
    """The HTTP status; 0 when there was no answer."""
    after_s: float | None = None
    """When the collector wants it again, where it says so."""
    words: str = ""
    """Why not, for people; of what was sent, what the collector did not like. Never a header that we sent."""

    @property
    def ok(self) -> bool:
        return self.state == "sent"

    @property
    def again(self) -> bool:
        return self.state == "again"


class Sender:
    """Owns at most one idle connection to one collector. `base_url` is its address without `/v1/...`."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Clock | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._netloc = parts.netloc.rpartition("@")[2]
        self._path = parts.path.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._idle: tuple[StreamReader, StreamWriter] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls: ssl.SSLContext | None = None

    async def post(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str = ""
    ) -> SendOutcome:
        """Send once. Never raises for what the network or the collector does."""
        try:
            request = self._request(signal, body, content_type, content_encoding)
        except UnicodeEncodeError:
            return SendOutcome(
                state="rejected", words="a header for the collector has letters outside Latin-1"
            )
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(request)
        except TimeoutError:
            return self._failed(f"no answer within {self._timeout_s:g} s")
        except ssl.SSLCertVerificationError as error:
            return self._failed(_distrust(error))
        except ssl.SSLError as error:  # its text may be long; the reason says it
            return self._failed(
                f"no secure connection: {(error.reason or 'TLS failed').lower().replace('_', ' ')}"
            )
        except (OSError, EOFError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            return self._failed(
                f"no connection: {why}" if isinstance(error, OSError) else "the connection broke"
            )
        except (httptools.HttpParserError, _NotHttpError):
            return self._failed("what answers there does not speak HTTP")
        return self._judge(answer)

    def close(self) -> None:
        """Let the idle connection go. The sender can be used again."""
        idle, self._idle = self._idle, None
        if idle is not None and self._loop is not None and not self._loop.is_closed():
            idle[1].close()

    # -- the exchange

    def _request(self, signal: Signal, body: bytes, content_type: str, content_encoding: str) -> bytes:
        needed = {
            "host": self._netloc,
            "user-agent": "freehold",
            "content-type": content_type,
            "content-length": str(len(body)),
        }
        if content_encoding:
            needed["content-encoding"] = content_encoding
        own = {name.lower(): value for name, value in self._headers.items()}
        lines = [f"POST {self._path}/v1/{signal} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (own | needed).items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    async def _exchange(self, request: bytes) -> _Answer:
        self._use_loop()
        idle, self._idle = self._idle, None
        if idle is not None and not idle[0].at_eof():
            # The collector may have closed it just now. Sending twice is allowed, losing is not.
            with contextlib.suppress(OSError, EOFError):
                return await self._ask(idle, request)
        elif idle is not None:
            idle[1].close()
        return await self._ask(await self._connect(), request)

    def _use_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.close()
            self._loop = loop

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        if self._secure and self._tls is None:
            self._tls = ssl.create_default_context()
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls)

    async def _ask(self, connection: tuple[StreamReader, StreamWriter], request: bytes) -> _Answer:
        reader, writer = connection
        answer = _Answer()
        kept = False
        try:
            with contextlib.suppress(ConnectionError):  # it may have answered before it had read all
                writer.write(request)
                await writer.drain()
            while not answer.complete:
                part = await reader.read(_PART)
                if not part:
                    answer.ended()
                    break
                answer.feed(part)
            kept = answer.keep_alive
        finally:
            if kept:
                self._idle = connection
            else:
                writer.close()
        return answer

    # -- what it means

    def _judge(self, answer: _Answer) -> SendOutcome:
        status = answer.status
        if 200 <= status < 300:
            return SendOutcome(state="sent", status=status, words=self._without_secrets(_in_part(answer)))
        words = self._without_secrets(f"it answers {status}{_reason(answer)}")
        if status in _AGAIN:
            after_s = _after_s(answer.fields.get("retry-after", ""), self._clock.now_ms())
            return SendOutcome(state="again", status=status, after_s=after_s, words=words)
        return SendOutcome(state="rejected", status=status, words=words)

    def _failed(self, words: str) -> SendOutcome:
        return SendOutcome(state="again", words=self._without_secrets(words))

    def _without_secrets(self, words: str) -> str:
        """A collector may give back what it was sent."""
        parts = {part for value in self._headers.values() for part in (value, *value.split())}
        for secret in sorted(parts, key=len, reverse=True):
            if len(secret) > 3:  # shorter ones stand in any text
                words = words.replace(secret, "***")
        return words[:_LONGEST_WORDS]


_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""Of OpenSSL's X509_V_ERR_...: who signed the certificate is not known here."""


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    words = f"its certificate is not trusted: {error.verify_message.rstrip('.')}"
    own = error.verify_code in _UNKNOWN_ISSUER
    return f"{words} (a CA of your own goes into the file that SSL_CERT_FILE names)" if own else words


class _Partial(msgspec.Struct, rename="camel"):
    error_message: str = ""


class _Success(msgspec.Struct, rename="camel"):
    partial_success: _Partial = msgspec.field(default_factory=_Partial)


class _NotHttpError(Exception):
    """The answer is none."""


class _Answer:
    """One HTTP answer as it comes; httptools calls the methods with `on_`."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self.keep_alive = False
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)
        self._bytes = 0

    def feed(self, part: bytes) -> None:
        """Raises HttpParserError, or _NotHttpError for one that does not end."""
        self._bytes += len(part)
        if self._bytes > LONGEST_ANSWER:
            raise _NotHttpError
        self._parser.feed_data(part)

    def ended(self) -> None:
        """The connection is at its end. Raises EOFError when the answer is not."""
        if not self.status or "content-length" in self.fields or "transfer-encoding" in self.fields:
            raise EOFError
        self.complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self.status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()


def _reason(answer: _Answer) -> str:
    """What a refusal says in words, where it says it as JSON or plain text."""
    text = ""
    kind = answer.fields.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            said = msgspec.json.decode(answer.body, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""
        found = said.get("message") or said.get("error")
        text = found if isinstance(found, str) else ""
    elif kind == "text/plain":
        text = answer.body.decode("utf-8", "replace")
    plain = _one_line(text)
    return f": {plain}" if plain else ""


def _in_part(answer: _Answer) -> str:
    """What a collector says that took only a part (or all, with a warning); empty when it says nothing."""
    kind = answer.fields.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            told = msgspec.json.decode(answer.body, type=_Success).partial_success
            return _one_line(told.error_message)
        for number, start, stop in fields(answer.body, 0, len(answer.body)):
            for inner, at, end in fields(answer.body, start, stop) if number == 1 and stop else ():
                if inner == _MESSAGE and end:
                    return _one_line(answer.body[at:end].decode("utf-8", "replace"))
    except (msgspec.MsgspecError, UnicodeDecodeError, WireError):
        pass
    return ""


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _after_s(told: str, now_ms: int) -> float | None:
    """`Retry-After`: seconds or a date (RFC 9110, 10.2.3); None where it says nothing that can be read."""
    if told.isdigit() and told.isascii():
        return min(float(told[:9]), LONGEST_RETRY_S)
    try:
        at_ms = parsedate_to_datetime(told).timestamp() * 1000
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max((at_ms - now_ms) / 1000, 0.0), LONGEST_RETRY_S)

"""One OTLP/HTTP request: its bytes to a batch, and what is answered to it. Pure.

opentelemetry.io/docs/specs/otlp "OTLP/HTTP": the answer is in the encoding of the request; 200 also where
items were rejected (partial success), 4xx with a google.rpc.Status for what shall not be sent again.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from freehold.adapters.telemetry.otlp_json import read_json
from freehold.adapters.telemetry.otlp_protobuf import read_protobuf
from freehold.adapters.telemetry.signals import Batch, Signal, TooMany
from freehold.adapters.telemetry.wire import WireError, blob, varint
from freehold.core.half_characters import without_halves

Encoding = Literal["protobuf", "json"]

LARGEST_BYTES = 20 * 1024 * 1024
"""Of a request, unpacked: what OpenTelemetry's Collector takes unless told otherwise."""
MOST_ITEMS = 50_000
"""Spans, log records or points of one request; exporters send 512."""
_TYPES: dict[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_CONTENT_TYPES: dict[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_REJECTED = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}
_INVALID_ARGUMENT, _UNAVAILABLE = 3, 14
"""google.rpc.Code."""
_MOST_MEMBERS = 64
_MOST_OBJECTS = 1_500_000
"""Opening braces of one JSON request: twenty million bytes of attributes have fewer."""
_GZIP = 16 + zlib.MAX_WBITS


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent back."""

    status: int
    content_type: str
    body: bytes
    retry_after_s: int | None = None


class Refused(Exception):
    """The request cannot be read; `answer` says so to the exporter."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def encoding_of(content_type: str) -> Encoding | None:
    """The encoding that a request names; None for others."""
    return _TYPES.get(content_type.partition(";")[0].strip().lower())


def read_request(
    signal: Signal, body: bytes, content_type: str, content_encoding: str, *, largest: int = LARGEST_BYTES
) -> Batch:
    """Raises Refused, with what the exporter is to be told."""
    encoding = encoding_of(content_type)
    if encoding is None:
        words = "OTLP comes as application/x-protobuf or application/json"
        raise Refused(refusal("json", 415, words))
    data = _unpacked(body, content_encoding.strip().lower(), encoding, largest)
    if encoding == "json" and data.count(b"{") > _MOST_OBJECTS:
        raise Refused(refusal(encoding, 413, "a request has too many parts; let it be fewer"))
    try:
        batch = (
            read_protobuf(signal, data, MOST_ITEMS) if encoding == "protobuf" else _read_json(signal, data)
        )
    except TooMany:
        words = f"a request has at most {MOST_ITEMS:,} items; let it be fewer"
        raise Refused(refusal(encoding, 413, words)) from None
    except (WireError, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise Refused(refusal(encoding, 400, f"this is no OTLP {signal} request: {error}")) from error
    return batch


def _read_json(signal: Signal, data: bytes) -> Batch:
    try:
        return read_json(signal, data, MOST_ITEMS)
    except msgspec.DecodeError:
        mended = without_halves(data)
        if mended == data:
            raise
    return read_json(signal, mended, MOST_ITEMS)


def _unpacked(body: bytes, packing: str, encoding: Encoding, largest: int) -> bytes:
    if packing in ("", "identity"):
        data = body
    elif packing == "gzip":
        try:
            data = _gunzipped(body, largest)
        except zlib.error as error:
            raise Refused(refusal(encoding, 400, f"the body is not gzip: {error}")) from error
        except EOFError as error:
            raise Refused(refusal(encoding, 400, "the gzip body is cut off")) from error
    else:
        raise Refused(refusal(encoding, 415, f"bodies come plain or as gzip, not as {packing[:40]}"))
    if len(data) > largest:
        words = f"a request has at most {largest >> 20} MiB; let the exporter send smaller batches"
        raise Refused(refusal(encoding, 413, words))
    return data


def _gunzipped(body: bytes, largest: int) -> bytes:
    """All members of a gzip file, one after the other; of more than `largest` bytes only one more. Raises
    zlib.error, EOFError when it is cut off."""
    parts: list[bytes] = []
    room = largest + 1
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(_GZIP)
        parts.append(unpacker.decompress(body, room))
        room -= len(parts[-1])
        if room <= 0:
            break
        if not unpacker.eof:
            raise EOFError
        body = unpacker.unused_data
        if not body.strip(b"\0"):  # padding, as tapes have it
            break
    else:
        raise zlib.error(f"it has more than {_MOST_MEMBERS} members")
    return b"".join(parts)


def success(signal: Signal, encoding: Encoding, rejected: int = 0, words: str = "") -> Answer:
    """All was taken; or, with `rejected` or `words`, what was not and why (a partial success)."""
    if encoding == "json":
        partial = {_REJECTED[signal]: str(rejected), "errorMessage": words}
        body = msgspec.json.encode({"partialSuccess": partial} if rejected or words else {})
    else:
        said = (varint(1, rejected) if rejected else b"") + (blob(2, words.encode()) if words else b"")
        body = blob(1, said) if said else b""
    return Answer(status=200, content_type=_CONTENT_TYPES[encoding], body=body)


def refusal(encoding: Encoding, status: int, words: str) -> Answer:
    """A google.rpc.Status. The exporter sends it again only after 429, 502, 503 and 504."""
    code = _UNAVAILABLE if status >= 500 else _INVALID_ARGUMENT
    if encoding == "json":
        body = msgspec.json.encode({"code": code, "message": words})
    else:
        body = varint(1, code) + blob(2, words.encode("utf-8", "replace"))
    retry = 5 if status == 503 else None
    return Answer(status=status, content_type=_CONTENT_TYPES[encoding], body=body, retry_after_s=retry)

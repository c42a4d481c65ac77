"""What the stand-in can be told to do with one request: a value, also readable from a header.

`x-standin: {"status": 500}` carries the same fields as JSON (bytes as base64).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

DEFAULT_PIECES = ("Hello", " from", " the", " stand-in", ": ", "grüße", " 家", " 🏠", ".")
"""Unicode of two, three and four bytes, so that a codec that cuts characters is caught at once."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the model wants called; `arguments` is JSON text."""

    name: str
    arguments: str = "{}"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer: what is said, when, in which bytes, and where it breaks off. Defaults behave well."""

    # What is said.
    pieces: tuple[str, ...] = DEFAULT_PIECES
    """The answer's text; in a stream one delta each."""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int = 11
    """All input tokens, the cached ones among them."""
    cached_tokens: int = 0
    usage: Literal["asked", "always", "never", "null"] = "asked"
    """Chat streams only: a usage chunk if `include_usage` asks, always, never, or null in every chunk."""
    cut_short: bool = False
    """The answer ends because of the token limit."""

    # Something else instead.
    status: int = 200
    headers: Mapping[str, str] = {}
    """Added to the answer's head (or replacing what stands there)."""
    body: bytes | None = None
    """Sent as it is; with a `status` >= 400 and no body, the dialect's own error envelope is sent."""
    events: tuple[bytes, ...] | None = None
    """Sent as the stream, each followed by the blank line."""
    raw: bytes | None = None
    """The whole answer, head and all, exactly so; then the connection closes."""

    # When.
    early: bool = False
    """Answer when the head has come, do not read the body, close."""
    hang: bool = False
    """Read the request and never answer."""
    hold_body: str = ""
    """Gate to pass before the request's body is read."""
    hold_head: str = ""
    """Gate to pass before the answer's first byte."""
    hold_events: str = ""
    """Gate to pass before each event of a stream."""
    delay_head_s: float = 0.0
    delay_event_s: float = 0.0

    # In which bytes.
    slice_bytes: int = 0
    """Write (and flush) the body in slices of so many bytes; 0 means each event or body whole."""
    line_end: Literal["\n", "\r\n"] = "\n"
    framing: Literal["auto", "length", "chunked", "close"] = "auto"
    content_length: int | None = None
    """A content-length that lies."""
    gzip: bool = False
    """Compress, if the request's accept-encoding allows it."""
    close: bool = False
    """Close the connection after the answer, and say so."""

    # Where it breaks.
    cut: Literal["", "before", "head", "body", "events", "done"] = ""
    """Close: before the answer's first byte, inside its head, after `cut_after` bytes of the body or
    events of the stream, or after the last event but before the framing's end."""
    cut_after: int = 1
    reset: bool = False
    """Break with a TCP reset rather than an orderly close."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def reasoning_tokens(self) -> int:
        return len(self.thinking.split())

    @property
    def output_tokens(self) -> int:
        """One token per piece, five per tool call, one per thought word."""
        return len(self.pieces) + 5 * len(self.tool_calls) + self.reasoning_tokens


def behaviour_from_header(value: str) -> Behaviour:
    """The JSON of an `x-standin` header. Raises msgspec.ValidationError when it names what we do not know."""
    return msgspec.json.decode(value.encode(), type=Behaviour)

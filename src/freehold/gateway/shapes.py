"""The few fields that are read of requests and answers, as types for the decoder. Pure."""

from __future__ import annotations

import msgspec


class Peek(msgspec.Struct):
    """What is read of a request. Absent fields keep their defaults."""

    model: str | None = None
    stream: object = None
    stream_options: msgspec.Raw = msgspec.Raw()
    """Its JSON; empty when absent."""
    temperature: object = None
    seed: object = None
    options: msgspec.Raw = msgspec.Raw()
    """Ollama's, where these two stand."""

    @property
    def streamed(self) -> bool:
        return self.stream is True


class StreamOptions(msgspec.Struct):
    """`stream_options` of a chat request."""

    include_usage: object = None


class Inner(msgspec.Struct):
    """What may stand in an answer, at its top or one level down."""

    usage: msgspec.Raw = msgspec.Raw()
    model: str | None = None
    id: str | None = None
    error: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()
    stop_reason: msgspec.Raw = msgspec.Raw()
    """Messages; in their streams it stands in `message_delta.delta`."""
    status: msgspec.Raw = msgspec.Raw()
    incomplete_details: msgspec.Raw = msgspec.Raw()
    tool_usage: msgspec.Raw = msgspec.Raw()
    """Responses: what tools of the provider took, beside `usage`."""


class Outer(Inner):
    """An answer, or the data of one stream event."""

    message: msgspec.Raw = msgspec.Raw()
    """Messages streams: `message_start.message`. Error events have a text here."""
    response: Inner | None = None
    """Responses streams: `response.completed.response`."""
    type: str | None = None
    choices: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()


class Ending(msgspec.Struct):
    """Where an answer says why it ended: a choice, the delta of a Messages stream, `incomplete_details`."""

    finish_reason: str | None = None
    stop_reason: str | None = None
    reason: str | None = None


class Speed(msgspec.Struct):
    """Of a usage object, how fast an answer was paid to be (Anthropic)."""

    speed: object = None
    inference_geo: object = None
    """Where it was made (Anthropic)."""


class Choices(msgspec.Struct):
    """A chat chunk, as far as telling the usage chunk goes."""

    choices: list[msgspec.Raw] = []
    usage: msgspec.Raw = msgspec.Raw()

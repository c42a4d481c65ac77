"""Streams from an upstream's dialect into the client's: bytes in, bytes out, no I/O.

    upstream bytes -> sse.EventSplitter -> read_chat | read_messages | read_responses
                   -> writer (neutral calls) -> write_chat | write_messages | write_responses | write_ollama

`blocks` orders interleaved content for dialects that allow one open block; `custom_input` unwraps
free-form tool input; `response_object` is the object that Responses events repeat. Streams whose
dialects are equal are relayed elsewhere, untouched.
"""

from freehold.dialects.streams.translator import StreamTranslator, stream_translator

__all__ = ["StreamTranslator", "stream_translator"]

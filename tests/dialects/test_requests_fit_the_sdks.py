"""What is sent to an upstream is of the types that the vendors' own SDKs would send."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from freehold.core.catalog import Dialect
from tests.dialects.good_calls import GOOD_REQUESTS
from tests.dialects.requestkit import body

TYPES: dict[str, Any] = {
    "chat": pydantic.TypeAdapter(CompletionCreateParamsNonStreaming),
    "messages": pydantic.TypeAdapter(MessageCreateParamsNonStreaming),
    "responses": pydantic.TypeAdapter(ResponseCreateParamsNonStreaming),
}
PAIRS = [(client, upstream) for client in GOOD_REQUESTS for upstream in TYPES if client != upstream]


def read_whole(value: Any) -> Any:
    """Iterables of the SDKs' types are checked only while they are read."""
    if isinstance(value, dict):
        return {key: read_whole(inner) for key, inner in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [read_whole(inner) for inner in value]


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-sonnet-4-5", "gpt-5.6", "local"])
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_requests_are_of_the_sdks_types(client: Dialect, upstream: Dialect, model: str) -> None:
    provider = "openai" if model.startswith("gpt") else ""
    request = json.loads(json.dumps(GOOD_REQUESTS[client]))
    written = body(client, upstream, request, model=model, provider=provider, same_maker=True)
    written.pop("stream", None)
    read_whole(TYPES[upstream].validate_python(written))

"""Programs that export telemetry of their model calls, one for each library: run in the library's own
environment as `python exporters.py NAME MODEL_URL MODEL`, with the exporter told by OTEL_* variables.

Each makes the same calls: plain, a stream, one that ends in a tool call, and embeddings where there are any.
A model whose name begins with `claude` is asked by Anthropic's client.
"""

from __future__ import annotations

import sys
from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HELLO: list[Any] = [{"role": "user", "content": "hello"}]


def with_openai(url: str, model: str) -> None:
    """The four calls, by OpenAI's client."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="unused", max_retries=0, timeout=30)
    client.chat.completions.create(model=model, messages=HELLO)
    options: Any = {"include_usage": True}
    for _ in client.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=options):
        pass
    tools: Any = [TOOL]
    client.chat.completions.create(model=model, messages=HELLO, tools=tools)
    client.embeddings.create(model=model, input=["a", "bc"])


def with_anthropic(url: str, model: str) -> None:
    """Three calls, by Anthropic's client."""
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0, timeout=30)
    client.messages.create(model=model, max_tokens=99, messages=HELLO)
    for _ in client.messages.create(model=model, max_tokens=99, messages=HELLO, stream=True):
        pass
    tools: Any = [{"name": "look", "input_schema": TOOL["function"]["parameters"]}]
    client.messages.create(model=model, max_tokens=99, messages=HELLO, tools=tools)


def make_calls(url: str, model: str) -> None:
    if model.startswith("claude"):
        with_anthropic(url, model)
    else:
        with_openai(url, model)


def sdk() -> Any:
    """A tracer provider that sends each span to the exporter that the variables name."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def opentelemetry(url: str, model: str) -> None:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    provider = sdk()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    with_openai(url, model)
    provider.shutdown()


def genai(url: str, model: str) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    provider = sdk()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    with_openai(url, model)
    provider.shutdown()


def openinference(url: str, model: str) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = sdk()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    if model.startswith("claude"):
        from openinference.instrumentation.anthropic import AnthropicInstrumentor

        AnthropicInstrumentor().instrument(tracer_provider=provider)
    make_calls(url, model)
    provider.shutdown()


def openlit(url: str, model: str) -> None:
    import openlit as library
    from opentelemetry import trace

    library.init(disable_metrics=True, application_name="shop", environment="test")
    make_calls(url, model)
    provider: Any = trace.get_tracer_provider()
    provider.force_flush()


def traceloop(url: str, model: str) -> None:
    import os

    from traceloop.sdk import Traceloop

    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    Traceloop.init(app_name="shop", api_endpoint=endpoint, disable_batch=True, api_key="x")
    make_calls(url, model)


def openllmetry(url: str, model: str) -> None:
    """The instrumentation that Traceloop's SDK brings, by itself and in a newer version."""
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    provider = sdk()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    if model.startswith("claude"):
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

        AnthropicInstrumentor().instrument(tracer_provider=provider)
    make_calls(url, model)
    provider.shutdown()


def pydantic_ai(url: str, model: str) -> None:
    import asyncio

    from pydantic_ai import Agent
    from pydantic_ai.capabilities import Instrumentation
    from pydantic_ai.models.instrumented import InstrumentationSettings

    provider = sdk()
    settings = InstrumentationSettings(tracer_provider=provider)
    watched: Any = [Instrumentation(settings)]
    chat, embedder = _pydantic_models(url, model, settings)
    clerk: Any = Agent(chat, capabilities=watched, name="clerk")
    with_tool: Any = Agent(chat, capabilities=watched, name="clerk")

    @with_tool.tool_plain
    def look(city: str = "") -> str:
        return f"rain in {city}"

    async def calls() -> None:
        await clerk.run("hello")
        async with clerk.run_stream("hello") as result:
            async for _ in result.stream_text():
                pass
        await with_tool.run("hello")
        if embedder is not None:
            await embedder.embed_documents(["a", "bc"])

    asyncio.run(calls())
    provider.shutdown()


def _pydantic_models(url: str, model: str, settings: Any) -> tuple[Any, Any]:
    """The model to talk to, and one for embeddings or None."""
    if model.startswith("claude"):
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(model, provider=AnthropicProvider(base_url=url, api_key="unused")), None
    from pydantic_ai import Embedder
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    vendor = OpenAIProvider(base_url=url, api_key="unused")
    embedder = Embedder(OpenAIEmbeddingModel(model, provider=vendor), instrument=settings)
    return OpenAIChatModel(model, provider=vendor), embedder


PROGRAMS = {
    program.__name__: program
    for program in (opentelemetry, genai, openinference, openlit, traceloop, openllmetry, pydantic_ai)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2], sys.argv[3])

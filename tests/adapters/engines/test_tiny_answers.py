"""The embedded engine serves the tiny model: what every other test of a real answer builds on."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.core.servers import ServerSpec
from freehold.supervisor.process import free_port
from freehold.testing.tiny_model import MODEL_NAME, model_path, scripts

pytestmark = pytest.mark.engine

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
LOOKUP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {
                "q": {"type": "string"},
                "n": {"type": "integer"},
                "in": {"enum": ["maps", "books"]},
            },
            "required": ["q", "n", "in"],
        },
    },
}
TEXTS = scripts.texts()


class Served:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def chat(self, text: str | list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
        choice: dict[str, Any] = self.post(
            "/v1/chat/completions", {"messages": messages, "max_tokens": 1000, **more}
        )["choices"][0]
        return choice

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    port = free_port()
    spec = ServerSpec(name=MODEL_NAME, model=str(model_path()), context=65_536, slots=2)
    launch = LlamaCpp(os.environ).launch(spec, port)
    log = tmp_path_factory.mktemp("engine") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(launch.argv, env=dict(launch.env), stdout=out, stderr=out, cwd=log.parent)
    try:
        server, deadline = Served(port), time.monotonic() + 30
        while not server.healthy():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield server
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Hello!", scripts.DEFAULT),
        ("please @@json now", "json"),
        ("@@long", "long"),
        ("@@code", "code"),
        ("@@unicode", "unicode"),
        ("@@empty", scripts.EMPTY),
        ("@@tool", scripts.NO_TOOL),
    ],
)
def test_a_text_is_recited_exactly(served: Served, said: str, name: str, temperature: float) -> None:
    choice = served.chat(said, temperature=temperature)
    assert choice["message"]["content"] == TEXTS[name]
    assert choice["finish_reason"] == "stop"


def test_thinking_is_told_apart_from_the_answer(served: Served) -> None:
    message = served.chat("@@think")["message"]
    assert message["content"] == "After careful thought: forty-two."
    assert message["reasoning_content"].startswith("The user wants to see some reasoning")


def call_of(choice: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (call,) = choice["message"]["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


def test_the_tool_that_is_offered_is_called(served: Served) -> None:
    choice = served.chat("@@tool", tools=[LOOKUP, WEATHER])
    assert call_of(choice) == ("get_weather", {"city": "Paris"})
    assert choice["finish_reason"] == "tool_calls"


def test_a_tool_it_never_heard_of_is_called_with_the_least_valid_arguments(served: Served) -> None:
    choice = served.chat("@@tool", tools=[LOOKUP], temperature=1.5)
    assert call_of(choice) == ("look_up", {"q": "sample text", "n": 0, "in": "books"})


def test_a_required_call_comes_without_a_keyword(served: Served) -> None:
    assert call_of(served.chat("hello", tools=[WEATHER], tool_choice="required"))[0] == "get_weather"


def test_two_calls_in_one_turn(served: Served) -> None:
    message = served.chat("@@parallel", tools=[WEATHER], parallel_tool_calls=True)["message"]
    cities = [json.loads(call["function"]["arguments"])["city"] for call in message["tool_calls"]]
    assert cities == ["Oslo", "Rome"]


def turn_with_tool(after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    return [
        {"role": "system", "content": "one"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a reminder"}, {"type": "text", "text": "@@tool"}],
        },
        {"role": "system", "content": "a late one"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        *after,
    ]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([], id="at once"),
        pytest.param([{"role": "system", "content": "late"}], id="with a late system message"),
        pytest.param([{"role": "user", "content": "a reminder"}], id="with a reminder beside the result"),
    ],
)
def test_a_tools_answer_ends_the_agents_turn(served: Served, after: list[dict[str, Any]]) -> None:
    choice = served.chat(turn_with_tool(after), tools=[WEATHER])
    assert choice["message"]["content"] == TEXTS[scripts.AFTER_TOOL]


def test_a_keyword_does_not_outlive_its_turn(served: Served) -> None:
    ended = [
        *turn_with_tool([]),
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "and now?"},
    ]
    assert served.chat(ended, tools=[WEATHER])["message"]["content"] == TEXTS[scripts.DEFAULT]
    again = [*ended[:-1], {"role": "user", "content": "@@tool"}]
    assert call_of(served.chat(again, tools=[WEATHER]))[0] == "get_weather"


def test_any_json_schema_is_met_and_ends(served: Served) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "inner": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
            "colour": {"enum": ["red", "blue"]},
        },
        "required": ["name", "age", "tags", "inner", "colour"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}}
    answers = {
        served.chat("hi", response_format=wanted, temperature=t)["message"]["content"] for t in (0, 1.5)
    }
    (only,) = answers
    assert json.loads(only) == {
        "name": "sample text",
        "age": 0,
        "tags": ["sample text"],
        "inner": {"ok": False},
        "colour": "blue",
    }


def test_json_mode_without_a_keyword(served: Served) -> None:
    said = served.chat("hi", response_format={"type": "json_object"})["message"]["content"]
    assert json.loads(said)["ok"] is True


def test_max_tokens_cuts_an_endless_text(served: Served) -> None:
    choice = served.chat("@@forever", max_tokens=40)
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].count("Round and round") > 5


def test_a_raw_prompt_is_answered_and_its_last_word_may_be_a_keyword(served: Served) -> None:
    assert (
        served.post("/v1/completions", {"prompt": "Once upon"})["choices"][0]["text"]
        == TEXTS[scripts.DEFAULT]
    )
    assert served.post("/v1/completions", {"prompt": "So: @@json"})["choices"][0]["text"] == TEXTS["json"]


def test_a_chat_stream_carries_the_same_text_in_pieces(served: Served) -> None:
    body = {"messages": [{"role": "user", "content": "@@long"}], "stream": True}
    request = urllib.request.Request(
        served.url + "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line[6:] for raw in answer if (line := raw.decode().strip()).startswith("data: {")]
    deltas = [json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines]
    assert "".join(deltas) == TEXTS["long"]
    assert len([delta for delta in deltas if delta]) > 100


def test_anthropic_messages_with_an_agents_tool(served: Served) -> None:
    tool = {
        "name": "Bash",
        "input_schema": {
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "timeout": {"type": "number"},
                "description": {"type": "string"},
            },
            "required": ["command"],
            "additionalProperties": False,
        },
    }
    answer = served.post(
        "/v1/messages",
        {"max_tokens": 200, "tools": [tool], "messages": [{"role": "user", "content": "@@tool"}]},
    )
    (block,) = answer["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "Bash", scripts.TOOL_CALLS["Bash"])
    assert answer["stop_reason"] == "tool_use"


def test_an_agents_first_request_is_read_in_seconds(served: Served) -> None:
    """80 kB of instructions and schemas: few tokens, because the vocabulary knows such text."""
    prose = "You are a coding agent. Read the file before you edit it, and run the tests when you are done.\n"
    schema = json.dumps(WEATHER, indent=2) + "\n"
    text = (prose * 8 + schema) * 80
    began = time.monotonic()
    usage = served.post("/v1/chat/completions", {"messages": [{"role": "user", "content": text}]})["usage"]
    assert len(text) > 80_000
    assert usage["prompt_tokens"] < len(text) / 2.5
    assert time.monotonic() - began < 20  # about 1 s on two idle cores

"""What is the same request, what is not, and what is never kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.keys import Keyed, feature_headers, route_label, scope_of, without_chance
from freehold.core.catalog import Deployment
from tests.cache.asking import SALT, chat, key, keyed, messages, responses, why_not

CLAUDE_CODE = "x-anthropic-billing-header: cc_version=2.1.{}; cc_entrypoint=cli; cch={};"


def test_spelling_does_not_matter() -> None:
    one = b'{"model":"fast","temperature":1.0,"messages":[{"role":"user","content":"caf\xc3\xa9"}]}'
    other = (
        b'{\n "messages": [ {"content": "caf\\u00e9", "role": "user"} ], "temperature": 1, "model": "fast"}'
    )
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("endpoint", "document", "extra"),
    [
        ("chat", chat(), {"user": "u1", "metadata": {"run": "7"}, "service_tier": "flex"}),
        ("chat", chat(), {"stream": True, "stream_options": {"include_usage": True}}),
        ("chat", chat(), {"prompt_cache_key": "k", "safety_identifier": "s", "store": False, "seed": None}),
        ("messages", messages(), {"metadata": {"user_id": "u1"}, "service_tier": "auto", "stream": True}),
        (
            "responses",
            responses(),
            {"client_metadata": {"t": "1"}, "prompt_cache_key": "thread", "store": False},
        ),
        ("embeddings", {"model": "e", "input": "x"}, {"user": "u1"}),
    ],
)
def test_books_and_framing_do_not_matter(endpoint: str, document: Any, extra: Any) -> None:
    assert key(document, endpoint) == key({**document, **extra}, endpoint)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"temperature": 0.2},
        {"seed": 1},
        {"max_tokens": 5},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"n": 2},
        {"messages": [{"role": "user", "content": "Why is the sea blue?"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}]},
        {"a_field_of_tomorrow": True},
    ],
)
def test_what_changes_the_answer_changes_the_key(change: Any) -> None:
    assert key(chat()) != key({**chat(), **change})


def test_order_in_lists_matters() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "ab"]
    assert key(chat(tools=tools)) != key(chat(tools=tools[::-1]))


def test_surroundings_matter() -> None:
    plain = key(chat())
    assert plain != key(chat(), route=b"slow")
    assert plain != key(chat(), scope=scope_of("4f0c", "", shared=False))
    assert plain != key(chat(), headers=feature_headers({b"anthropic-beta": b"x"}))
    assert plain != key({**chat(), "prompt": "x"}, "completions")


def test_parts_do_not_run_into_each_other() -> None:
    assert key(chat(), route=b"ab", headers=b"c") != key(chat(), route=b"a", headers=b"bc")


def test_the_salt_matters() -> None:
    from freehold.cache.keys import Asked, key_of

    asked = Asked(endpoint="chat", body=json.dumps(chat()).encode(), route=b"fast")
    one, other = key_of(asked, salt=SALT), key_of(asked, salt=b"t" * 32)
    assert isinstance(one, Keyed)
    assert isinstance(other, Keyed)
    assert one.key != other.key


def test_a_name_that_stands_for_other_places_is_another_route() -> None:
    qwen = Deployment(name="qwen", model_id="qwen", server="qwen")
    gpt = Deployment(name="openai/gpt", model_id="gpt", provider="openai")
    routes = {route_label("fast", places) for places in ((qwen,), (gpt,), (qwen, gpt), (gpt, qwen))}
    assert len(routes) == 4
    assert route_label("fast", (qwen,)) == route_label("fast", (qwen,))


def test_beta_headers_are_a_set() -> None:
    assert feature_headers({b"anthropic-beta": b"a,b"}) == feature_headers({b"anthropic-beta": b"b, a"})
    assert feature_headers({b"user-agent": b"x"}) == b""


def test_keys_and_projects_are_apart_unless_shared() -> None:
    assert scope_of("k1", "p", shared=False) != scope_of("k2", "p", shared=False)
    assert scope_of("k1", "p", shared=False) != scope_of("k1", "q", shared=False)
    assert scope_of("k1", "p", shared=True) == scope_of("k2", "q", shared=True)


def test_cache_marks_do_not_matter_where_marks_stand() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    block = {"type": "text", "text": "x"}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{**block, **mark}]}
    clear = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    with_marks = messages([{**block, **mark}, {**result, **mark}], system=[{**block, **mark}], **mark)
    with_marks["tools"] = [{"name": "f", "input_schema": {}, **mark}]
    without = messages([block, clear], system=[block], tools=[{"name": "f", "input_schema": {}}])
    assert key(with_marks, "messages") == key(without, "messages")


def test_an_argument_named_like_a_mark_matters() -> None:
    def call(value: str) -> Any:
        use = {"type": "tool_use", "id": "t", "name": "f", "input": {"cache_control": value}}
        return {**messages(), "messages": [{"role": "assistant", "content": [use]}]}

    assert key(call("public"), "messages") != key(call("private"), "messages")


@pytest.mark.parametrize("as_text", [True, False])
def test_claude_codes_attribution_line_does_not_matter(as_text: bool) -> None:
    def call(line: str) -> Any:
        system = (
            f"{line}\nBe kind."
            if as_text
            else [{"type": "text", "text": line}, {"type": "text", "text": "Be kind."}]
        )
        return messages(system=system)

    one = key(call(CLAUDE_CODE.format(197, "aa")), "messages")
    assert one == key(call(CLAUDE_CODE.format(198, "bb")), "messages")
    assert one != key(messages(system="Be unkind."), "messages")


def test_the_framing_is_known() -> None:
    def form(document: Any, endpoint: str = "chat") -> str:
        found = keyed(document, endpoint)
        assert isinstance(found, Keyed)
        return found.form

    assert form(chat()) == "whole"
    assert form(chat(stream=True)) == "stream"
    assert form(chat(stream=True, stream_options={"include_usage": True})) == "counted"
    assert form(messages(stream=True), "messages") == "stream"
    assert form(chat(), "ollama.chat") == "stream"
    assert form(chat(stream=False), "ollama.chat") == "whole"


AUDIO = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}


@pytest.mark.parametrize(
    ("endpoint", "document", "reason"),
    [
        ("chat", chat(store=True), "store"),
        ("chat", chat(modalities=["text", "audio"]), "sound"),
        ("chat", chat([AUDIO]), "sound"),
        ("chat", chat([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]), "address"),
        (
            "responses",
            responses([{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]),
            "address",
        ),
        ("messages", messages([{"type": "image", "source": {"type": "url", "url": "https://x"}}]), "address"),
        ("chat", chat(web_search_options={}), "looks things up"),
        ("messages", messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "runs a tool"),
        ("responses", responses(tools=[{"type": "file_search"}]), "runs a tool"),
        ("messages", messages(mcp_servers=[{"url": "x"}]), "looks things up"),
        ("responses", responses(previous_response_id="resp_1"), "stored"),
        ("responses", responses(conversation="c"), "stored"),
        ("responses", responses(prompt={"id": "p"}), "stored"),
        ("responses", responses(background=True), "background"),
        ("audio.speech", {"model": "tts", "input": "x"}, "not kept"),
        ("images.generations", {"model": "x"}, "not kept"),
        ("chat", b"[1]", "not a JSON object"),
        ("chat", b'{"a": "\xff"}', "not a JSON object"),
        ("chat", b"{" + b'"a":{' * 5000, "not a JSON object"),
    ],
)
def test_what_is_never_kept_says_why(endpoint: str, document: Any, reason: str) -> None:
    assert reason in why_not(document, endpoint)


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        ("chat", chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])),
        ("messages", messages([{"type": "image", "source": {"type": "base64", "data": "AAAA"}}])),
        ("chat", chat(n=3, tools=[{"type": "function", "function": {"name": "f"}}])),
        (
            "messages",
            messages(tools=[{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]),
        ),
        (
            "responses",
            responses(tools=[{"type": "custom", "name": "apply_patch"}, {"type": "namespace", "name": "n"}]),
        ),
        ("messages", messages(mcp_servers=[])),
        ("chat", chat("see https://example.org/page")),
    ],
)
def test_what_is_in_the_request_itself_is_kept(endpoint: str, document: Any) -> None:
    assert key(document, endpoint)


def test_a_tool_that_changes_nothing_can_be_named() -> None:
    document = responses(tools=[{"type": "web_search"}])
    assert key(document, "responses", tools=("web_search",)) == key(document, "responses", tools="*")


def test_a_key_said_twice_is_refused_where_answers_are_shared() -> None:
    twice = b'{"model":"fast","messages":[{"role":"user","content":"evil"}],"messages":[]}'
    assert key(twice)
    assert "twice" in why_not(twice, strict=True)


QUOTED = '{"model":"fast","messages":[{"role":"user","content":"say \\u0022hi\\u0022 and \\\\"}]%s}'


def test_written_with_escapes_a_key_said_twice_is_still_seen() -> None:
    assert key((QUOTED % "").encode(), strict=True)
    assert "twice" in why_not((QUOTED % ',"model":"fast"').encode(), strict=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=6), st.booleans(), st.randoms())
def test_any_body_has_one_key_however_it_is_written(
    fields: dict[str, Any], ascii_only: bool, random: Any
) -> None:
    document = {**chat(), **{f"x_{name}": value for name, value in fields.items()}}
    names = list(document)
    random.shuffle(names)
    plain = json.dumps(document, ensure_ascii=True).encode()
    written = json.dumps({name: document[name] for name in names}, ensure_ascii=ascii_only, indent=2)
    try:
        body = written.encode()
    except UnicodeEncodeError:
        return
    one, other = keyed(plain, strict=True), keyed(body, strict=True)
    assert one == other


@pytest.mark.parametrize(
    ("endpoint", "fields", "certain"),
    [
        ("chat", {"temperature": 0}, True),
        ("chat", {"temperature": 0.0}, True),
        ("chat", {"seed": 3}, True),
        ("chat", {"temperature": 0.1}, False),
        ("chat", {}, False),
        ("embeddings", {}, True),
        ("ollama.chat", {"options": {"temperature": 0}}, True),
        ("ollama.chat", {"temperature": 0}, False),
    ],
)
def test_chance_is_known(endpoint: str, fields: Any, certain: bool) -> None:
    assert without_chance(endpoint, fields) is certain

"""Bodies are changed in one place and in no other: the bytes around it are the client's own."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freehold.gateway.peek import ask_for_usage, peek, replace_model, top_level_values, wants_usage

NAMES = st.sampled_from(
    ["model", "stream_options", "messages", 'say "model', "\\", "mødel", "", "a"]
) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=12)
    | st.sampled_from(['"model":"x"', '\\"model": "x"', "{", "]}", ",", "model", '":', "\\"])
)
SPACES = st.text(alphabet=" \t\r\n", max_size=3)


def written(draw: st.DrawFn, value: object) -> str:
    """`value` as JSON with spacing and escapes of somebody's taste."""
    space = lambda: draw(SPACES)  # noqa: E731
    if isinstance(value, dict):
        members = [
            f"{space()}{written(draw, k)}{space()}:{space()}{written(draw, v)}{space()}"
            for k, v in value.items()
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(f"{space()}{written(draw, item)}{space()}" for item in value) + "]"
    if isinstance(value, str) and value == "model" and draw(st.integers(0, 4)) == 0:
        return '"\\u006dodel"'
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, str, str]:
    """A body with a top-level model, in three parts: before the model's value, the value, behind it."""
    before = draw(st.dictionaries(NAMES.filter(lambda name: name != "model"), JSON, max_size=4))
    after = draw(st.dictionaries(NAMES.filter(lambda name: name != "model"), JSON, max_size=4))
    model = draw(st.text(min_size=1, max_size=12))
    head = written(draw, before)[:-1] + ("," if before else "") + draw(SPACES)
    head += written(draw, "model") + draw(SPACES) + ":" + draw(SPACES)
    tail = draw(SPACES) + ("," if after else "") + written(draw, after)[1:] + draw(SPACES)
    return draw(SPACES) + head, json.dumps(model, ensure_ascii=draw(st.booleans())), tail


@given(bodies(), st.text(min_size=1, max_size=12))
@example(('{"messages":[{"model":"n"}],"model":', '"a"', "}"), "b")
@example(('{"x":{"model":"a"},"\\u006dodel":', '"a"', "}"), "b")
@example(('{"n":1,"model":', '"a"', ',"say \\"model":"x"}'), "b")
@example(('{"say \\"model":"a","model":', '"a"', "}"), "b")
@example(('{"model":', '"a"', ',"tools":[{"model":"a"}]}'), "b")
@example(('{"model" : ', '"a\\/b"', "\n}"), "b")
def test_only_the_top_level_model_changes(body, new):
    before, value, after = (part.encode() for part in body)
    whole = before + value + after
    changed = replace_model(whole, peek(whole).model or "", new)
    assert changed.startswith(before)
    assert changed.endswith(after)
    assert json.loads(changed[len(before) : len(changed) - len(after)]) == new


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"b","model":"b"}',
        b'{"model":"a","n":1,"\\u006dodel":"b"}',
        b'{"n":1,"model":"a","model":"b","z":{"model":"c"}}',
    ],
)
def test_a_second_model_cannot_reach_the_upstream(body):
    """Which of two equal keys counts differs between parsers, so none of them keeps what was asked."""
    changed = replace_model(body, "b", "served")
    assert peek(changed).model == "served"
    assert b'"a"' not in changed
    assert b'"b"' not in changed


def test_a_long_string_costs_no_memory_of_its_own():
    """A pattern that keeps a frame per character would need gigabytes for the largest body."""
    import tracemalloc

    body = b'{"text":"' + b'\\"a' * 700_000 + b'","model":"a","tool":{"model":"c"}}'
    tracemalloc.start()
    try:
        changed = replace_model(body, "a", "b")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert changed == body.replace(b'"model":"a"', b'"model":"b"')
    assert peak < 6 * len(body)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.data())
def test_the_spans_of_top_level_values_are_those_values(members, data):
    body = written(data.draw, members).encode()
    found = [(json.loads(key), json.loads(body[start:end])) for key, start, end in top_level_values(body)]
    assert found == list(members.items())
    assert all(body[start:end] == body[start:end].strip() for _, start, end in top_level_values(body))


@given(
    st.dictionaries(NAMES.filter(lambda name: name != "stream_options"), JSON, min_size=1, max_size=4),
    st.data(),
)
def test_asking_for_usage_adds_one_member(members, data):
    body = written(data.draw, members).encode()
    asked = ask_for_usage(body, msgspec.Raw())
    assert json.loads(asked) == members | {"stream_options": {"include_usage": True}}


@given(
    st.none()
    | st.dictionaries(st.sampled_from(["include_usage", "include_obfuscation", "x"]), JSON, max_size=3),
    st.dictionaries(NAMES.filter(lambda name: name != "stream_options"), JSON, max_size=4),
    st.data(),
)
def test_asking_for_usage_keeps_the_other_stream_options(options, members, data):
    body = written(data.draw, members | {"model": "m", "stream_options": options}).encode()
    seen = peek(body)
    asked = ask_for_usage(body, seen.stream_options)
    merged = (options or {}) | {"include_usage": True}
    assert json.loads(asked) == members | {"model": "m", "stream_options": merged}
    assert wants_usage(peek(asked).stream_options)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (b"", False),
        (b"null", False),
        (b"{}", False),
        (b'{"include_usage":false}', False),
        (b'{"include_usage":"yes"}', False),
        (b'{"include_usage":true}', True),
        (b'{"x":[1],"include_usage": true }', True),
        (b"[]", False),
        (b'"all"', False),
    ],
)
def test_whether_the_client_wants_usage(options, wanted):
    assert wants_usage(msgspec.Raw(options)) is wanted


@pytest.mark.parametrize("options", [b"[]", b'"all"', b"7", b'{"\xff":1}'])
def test_options_that_make_no_sense_go_to_the_upstream_as_they_are(options):
    body = b'{"model":"m","stream":true,"stream_options":' + options + b"}"
    assert ask_for_usage(body, msgspec.Raw(options)) is body


def test_bytes_that_are_no_text_inside_options_stay():
    options = b'{"x":"\xff"}'
    assert b'"x":"\xff"' in ask_for_usage(b'{"stream_options":' + options + b"}", msgspec.Raw(options))


@pytest.mark.parametrize(
    ("body", "model", "streamed"),
    [
        (b'{"model":"m","stream":true}', "m", True),
        (b' {"stream":"true","model":"m"} ', "m", False),
        (b'{"stream":1}', None, False),
        (b'{"model":null}', None, False),
        ('{"model":"mødel\\n"}'.encode(), "mødel\n", False),
        (b"{}", None, False),
    ],
)
def test_what_is_read_of_a_body(body, model, streamed):
    seen = peek(body)
    assert (seen.model, seen.streamed) == (model, streamed)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"model":1}', b'{"model":["m"]}', b"\xef\xbb\xbf{}"]
)
def test_a_body_that_is_no_request_is_an_error(body):
    with pytest.raises(msgspec.DecodeError):
        peek(body)

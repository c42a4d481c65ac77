from __future__ import annotations

import pytest

from freehold.core.catalog import Dialect
from freehold.dialects.signs import after_opening, keepalive, opening
from freehold.dialects.sse import EventSplitter
from freehold.dialects.streams import stream_translator
from tests.dialects.streamkit import (
    chat,
    check_responses,
    context,
    message,
    named,
    openai_client,
    read,
    run,
    said,
)

WHO = {"answer_id": "A1", "model": "asked", "created_s": 1_700_000_000}


def test_chat_gets_comments_and_messages_get_pings() -> None:
    assert opening("chat", **WHO).startswith(b":")
    assert keepalive("messages", **WHO) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_a_responses_stream_opened_while_loading_goes_on_with_the_translated_answer() -> None:
    early = (
        opening("responses", **WHO)
        + keepalive("responses", **WHO)
        + keepalive("responses", **WHO, sequence=2)
    )
    translator = stream_translator(context("responses", "chat"), opened_events=3)
    events = read("responses", early + run(translator, [chat(said(content="hi"), said("stop"))]))
    check_responses(events)
    assert [name for name, _ in events].count("response.created") == 1


def upstream_responses() -> bytes:
    response = {"id": "resp_theirs", "object": "response", "output": [], "tools": [{"sequence_number": 5}]}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    done = {**item, "status": "completed", "content": [{**part, "text": '"sequence_number":1'}]}
    events = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": '"sequence_number":1', "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {**response, "output": [done]}},
    ]
    return named(*({**event, "sequence_number": number} for number, event in enumerate(events)))


def test_a_same_dialect_stream_behind_an_opening_has_one_created_one_id_and_rising_numbers() -> None:
    early = opening("responses", **WHO) + keepalive("responses", **WHO)
    after = after_opening("responses", answer_id="A1", sequence=2)
    stream = early + after.feed(EventSplitter().feed(upstream_responses()))
    events = read("responses", stream)
    check_responses(events)
    assert events[5][1]["delta"] == '"sequence_number":1'
    assert events[-1][1]["response"]["tools"] == [{"sequence_number": 5}]
    with openai_client(stream).responses.stream(model="m", input="x") as accumulated:
        assert accumulated.get_final_response().output_text == '"sequence_number":1'


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_other_dialects_pass_behind_an_opening_untouched(dialect: Dialect) -> None:
    stream = message([{"type": "text", "text": "hi"}])
    assert after_opening(dialect, answer_id="A1", sequence=1).feed(EventSplitter().feed(stream)) == stream


def test_what_is_no_json_passes_behind_an_opening() -> None:
    after = after_opening("responses", answer_id="A1", sequence=1)
    assert after.feed([b": comment\n\n", b"data: [DONE]\n\n"]) == b": comment\n\ndata: [DONE]\n\n"

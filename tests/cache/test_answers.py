"""The cache as the gateway uses it: look, wait, keep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.cache.answers import Answers, Hit, Ticket
from freehold.cache.modes import mode_of, nothing_kept
from freehold.cache.parts import Unkept
from freehold.cache.vectors import WordVectors
from freehold.core.config_cache import CacheConfig, ExactCacheConfig, SemanticCacheConfig
from freehold.core.errors import CallError
from freehold.core.usage import Usage
from tests.cache.asking import (
    SALT,
    TEXT_BLOCK,
    ask,
    chat,
    chat_answer,
    chat_stream,
    messages,
    messages_stream,
    said,
)

HOUR_MS = 3_600_000
EXACT = ExactCacheConfig()


def cache(exact: ExactCacheConfig | None = EXACT, **config: Any) -> Answers:
    return Answers(CacheConfig(exact=exact, **config), salt=SALT, embedder=WordVectors())


def ticket(answers: Answers, document: Any, endpoint: str = "chat", now_ms: int = 0, **fields: Any) -> Ticket:
    found = answers.look(ask(document, endpoint, **fields), now_ms)
    assert isinstance(found, Ticket), found
    return found


def kept(
    answers: Answers, document: Any, body: bytes = chat_answer(), endpoint: str = "chat", **fields: Any
) -> None:
    assert answers.keep(ticket(answers, document, endpoint, **fields), said(body), 0) == ""


def hit(answers: Answers, document: Any, endpoint: str = "chat", now_ms: int = 1000, **fields: Any) -> Hit:
    found = answers.look(ask(document, endpoint, **fields), now_ms)
    assert isinstance(found, Hit), found
    return found


def test_the_same_request_gets_the_same_answer_and_costs_nothing() -> None:
    answers = cache()
    kept(answers, chat())
    found = hit(answers, chat(), now_ms=5000)
    assert found.kind == "exact"
    assert found.stored.body == chat_answer()
    assert (found.age_s, found.saved_nanos, found.stored.receipt) == (5, 1500, "01A")
    counts = answers.counts()
    assert (counts.exact_hits, counts.misses, counts.saved_nanos, counts.entries) == (1, 1, 1500, 1)


def test_ids_of_the_first_call_do_not_come_back() -> None:
    answers = cache()
    kept(answers, chat())
    assert hit(answers, chat()).stored.headers == ((b"content-type", b"application/json"),)


def test_after_its_time_an_answer_is_gone() -> None:
    answers = cache()
    kept(answers, chat())
    assert isinstance(answers.look(ask(chat()), HOUR_MS - 1), Hit)
    assert isinstance(answers.look(ask(chat()), HOUR_MS), Ticket)


def test_when_the_clock_is_set_back_an_answer_of_the_future_is_gone() -> None:
    answers = cache()
    assert (
        answers.keep(ticket(answers, chat(), now_ms=100 * HOUR_MS), said(chat_answer()), 100 * HOUR_MS) == ""
    )
    assert isinstance(answers.look(ask(chat()), 100 * HOUR_MS - 1000), Hit)
    assert isinstance(answers.look(ask(chat()), 99 * HOUR_MS), Ticket)


def test_keys_and_projects_have_their_own_answers() -> None:
    answers = cache()
    kept(answers, chat(), key_name="k1", project="p")
    ticket(answers, chat(), key_name="k2", project="p")
    ticket(answers, chat(), key_name="k1", project="q")
    assert hit(answers, chat(), key_name="k1", project="p")


def test_answers_can_be_shared() -> None:
    answers = cache(ExactCacheConfig(shared=True))
    kept(answers, chat(), key_name="k1")
    assert hit(answers, chat(), key_name="k2", project="q")


def test_a_stream_comes_back_with_its_events_as_they_were() -> None:
    answers = cache()
    stream = chat_stream("It ", "scatters.")
    kept(answers, chat(stream=True), stream)
    found = hit(answers, chat(stream=True)).stored
    assert found.body == stream


def test_a_stream_without_usage_is_not_given_to_who_wants_usage() -> None:
    answers = cache()
    kept(answers, chat(stream=True), chat_stream("x"))
    ticket(answers, chat(stream=True, stream_options={"include_usage": True}))


def test_who_asks_without_streaming_gets_a_kept_stream_whole() -> None:
    answers = cache()
    spent = Usage(fresh_in=10, visible_out=3)
    first = ticket(answers, chat(stream=True))
    answers.keep(first, said(chat_stream("It ", "scatters."), usage=spent), 0)
    body = json.loads(hit(answers, chat()).stored.body)
    assert body["choices"][0]["message"]["content"] == "It scatters."
    assert body["usage"]["total_tokens"] == 13
    assert dict(hit(answers, chat()).stored.headers)[b"content-type"] == b"application/json"


def test_claude_codes_second_try_finds_its_stream() -> None:
    answers = cache()
    kept(answers, messages(stream=True), messages_stream(TEXT_BLOCK), "messages")
    body = json.loads(hit(answers, messages(), "messages").stored.body)
    assert body["content"] == [{"type": "text", "text": "It scatters."}]


def test_what_must_not_be_kept_is_not() -> None:
    answers = cache()
    assert "cut" in answers.keep(ticket(answers, chat()), said(chat_answer(finish_reason="length")), 0)
    assert "500" in answers.keep(ticket(answers, chat()), said(b"{}", status=500), 0)
    ticket(answers, chat())
    assert isinstance(answers.look(ask(chat(store=True)), 0), Unkept)


def test_only_the_named_models_and_agents_are_served() -> None:
    answers = cache(ExactCacheConfig(models=("fast",), agents=("summariser",)))
    assert answers.serves("fast", "summariser", "")
    assert not answers.serves("slow", "summariser", "")
    assert not answers.serves("fast", "", "")
    assert answers.serves("slow", "", "on")
    assert isinstance(answers.look(ask(chat()), 0), Unkept)


def test_a_call_can_say_how_it_wants_it() -> None:
    answers = cache()
    kept(answers, chat())
    assert not answers.serves("fast", "", "off")
    assert isinstance(answers.look(ask(chat(), mode="off"), 0), Unkept)
    assert hit(answers, chat(), mode="only")
    fresh = ticket(answers, chat(), mode="refresh")
    answers.keep(fresh, said(chat_answer("Another."), receipt="01B"), 10)
    assert hit(answers, chat()).stored.receipt == "01B"


def test_the_header_is_read_or_refused() -> None:
    assert mode_of({}) == ""
    assert mode_of({b"x-freehold-cache": b" Only "}) == "only"
    wrong = mode_of({b"x-freehold-cache": b"maybe"})
    assert isinstance(wrong, CallError)
    assert (wrong.status, nothing_kept("x").status) == (400, 504)


def test_answers_drawn_by_chance_can_be_left_out() -> None:
    answers = cache(ExactCacheConfig(sampled=False))
    assert isinstance(answers.look(ask(chat()), 0), Unkept)
    kept(answers, chat(temperature=0))
    kept(answers, {"model": "e", "input": "x"}, b'{"data":[{"embedding":[1]}]}', "embeddings")


def test_memory_is_bounded_and_the_least_used_goes() -> None:
    answers = cache(ExactCacheConfig(entries=2))
    for question in ("a", "b"):
        kept(answers, chat(question))
    hit(answers, chat("a"))
    kept(answers, chat("c"))
    ticket(answers, chat("b"))
    assert hit(answers, chat("a"))
    assert answers.counts().entries == 2


def test_bytes_are_bounded_too() -> None:
    answers = cache(ExactCacheConfig(memory_bytes=3000))
    for question in "abcdef":
        kept(answers, chat(question), chat_answer("x" * 500))
    assert answers.counts().bytes <= 3000
    assert hit(answers, chat("f"))
    assert "large" in answers.keep(ticket(answers, chat("g")), said(chat_answer("x" * 4000)), 0)


def test_everything_can_be_forgotten() -> None:
    answers = cache()
    kept(answers, chat())
    assert answers.clear() == 1
    assert answers.counts().entries == answers.counts().bytes == 0
    ticket(answers, chat())


# -- by meaning

SEMANTIC = SemanticCacheConfig(models=("fast",))


def asked(answers: Answers, document: Any, now_ms: int = 1000, **fields: Any) -> Hit | None:
    """What a call gets without a model, waiting included."""
    found = answers.look(ask(document, **fields), now_ms)
    if isinstance(found, Hit):
        return found
    got: list[Hit | None] = []
    if isinstance(found, Ticket) and found.waits:
        answers.wait(found, now_ms, got.append)
    return got[0] if got else None


def test_another_wording_gets_the_answer() -> None:
    answers = cache(None, semantic=SEMANTIC)
    kept(answers, chat("How do I reset my password?"))
    found = asked(answers, chat("how can I reset the password please"))
    assert found is not None
    assert found.kind == "semantic"
    assert found.stored.receipt == "01A"
    assert answers.counts().semantic_hits == 1


@pytest.mark.parametrize(
    "question",
    ["How do I reset my router?", "How do I reset my password without email?", "Why do I reset my password?"],
)
def test_another_question_does_not(question: str) -> None:
    answers = cache(None, semantic=SEMANTIC)
    kept(answers, chat("How do I reset my password?"))
    assert asked(answers, chat(question)) is None


def test_the_same_words_in_other_surroundings_are_another_question() -> None:
    answers = cache(None, semantic=SEMANTIC)

    def talk(system: str, question: str, **fields: Any) -> Any:
        return {
            **chat(**fields),
            "messages": [{"role": "system", "content": system}, *chat(question)["messages"]],
        }

    kept(answers, talk("Help with A.", "How do I reset my password?"))
    assert asked(answers, talk("Help with A.", "How can I reset my password?")) is not None
    assert asked(answers, talk("Help with B.", "How can I reset my password?")) is None
    assert asked(answers, talk("Help with A.", "How can I reset my password?", temperature=0)) is None
    assert asked(answers, talk("Help with A.", "How can I reset my password?", stream=True)) is None
    assert asked(answers, talk("Help with A.", "How can I reset my password?"), key_name="k2") is None


def test_who_is_not_named_is_not_answered_by_meaning() -> None:
    answers = cache(semantic=SemanticCacheConfig(agents=("support",)))
    kept(answers, chat("How do I reset my password?"), agent="support")
    assert asked(answers, chat("How can I reset my password?"), agent="coder") is None
    assert asked(answers, chat("How can I reset my password?"), agent="support") is not None


def test_a_remembered_question_has_its_time() -> None:
    answers = cache(None, semantic=SemanticCacheConfig(models=("fast",), ttl_s=10))
    kept(answers, chat("How do I reset my password?"))
    assert asked(answers, chat("How can I reset my password?"), now_ms=9_999) is not None
    assert asked(answers, chat("How can I reset my password?"), now_ms=10_000) is None


def test_questions_are_bounded() -> None:
    answers = cache(None, semantic=SemanticCacheConfig(models=("fast",), entries=3))
    for name in ("router", "phone", "clock", "modem", "radio"):
        kept(answers, chat(f"How do I reset my {name}?"))
    assert answers.counts().questions == 3
    assert asked(answers, chat("How can I reset my radio?")) is not None
    assert asked(answers, chat("How can I reset my router?")) is None


def test_a_picture_is_no_question() -> None:
    answers = cache(None, semantic=SEMANTIC)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    kept(answers, chat([{"type": "text", "text": "How do I reset this?"}, picture]))
    assert answers.counts().questions == 0

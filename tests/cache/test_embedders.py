"""Questions compared by a model: when it is asked, when it is slow, when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freehold.cache.answers import Answers, Hit, Ticket
from freehold.cache.vectors import Vector, cosine, normalised, word_vector
from freehold.core.config_cache import CacheConfig, SemanticCacheConfig
from tests.cache.asking import SALT, ask, chat, chat_answer, said


class Model:
    """An embedder that answers when told to; everything is alike to it, unless `vectors` says otherwise."""

    meaning = True
    threshold = 0.9

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.vectors: dict[str, Vector | None] = {}
        self._waiting: list[tuple[str, Callable[[Vector | None], None]]] = []

    def embed(self, text: str, then: Callable[[Vector | None], None]) -> Callable[[], None]:
        entry = (text, then)
        self.asked.append(text)
        self._waiting.append(entry)
        return lambda: self._waiting.remove(entry)

    def answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for text, then in waiting:
            then(self.vectors.get(text, (1.0, 0.0)))


FIRST = "How do I reset my password?"
AGAIN = "My password: what is the best way of resetting it?"


def house() -> tuple[Answers, Model]:
    model = Model()
    config = CacheConfig(semantic=SemanticCacheConfig(models=("fast",), embeddings="nomic"))
    return Answers(config, salt=SALT, embedder=model), model


def looked(answers: Answers, question: str, **fields: Any) -> Ticket:
    found = answers.look(ask(chat(question), **fields), 1000)
    assert isinstance(found, Ticket)
    return found


def kept(answers: Answers, model: Model, question: str = FIRST) -> None:
    answers.keep(looked(answers, question), said(chat_answer()), 0)
    model.answer()


def test_with_nothing_to_compare_no_call_waits_for_the_model() -> None:
    answers, model = house()
    first = looked(answers, FIRST)
    assert not first.waits
    assert model.asked == []
    answers.keep(first, said(chat_answer()), 0)
    assert model.asked == [FIRST]
    assert answers.counts().questions == 0
    model.answer()
    assert answers.counts().questions == 1


def test_a_question_with_the_same_facts_waits_and_is_answered() -> None:
    answers, model = house()
    kept(answers, model)
    second = looked(answers, AGAIN)
    assert second.waits
    got: list[Hit | None] = []
    answers.wait(second, 1000, got.append)
    assert got == []
    model.answer()
    assert got[0] is not None
    assert (got[0].kind, got[0].likeness) == ("semantic", 1.0)


def test_other_facts_are_not_even_compared() -> None:
    answers, model = house()
    kept(answers, model)
    model.asked.clear()
    for question in ("How do I reset my router?", "How do I not reset my password?", f"{FIRST} 5 times"):
        assert not looked(answers, question).waits
    assert model.asked == []


def test_what_the_model_finds_unlike_is_a_miss_and_its_vector_serves_again() -> None:
    answers, model = house()
    kept(answers, model)
    model.vectors[AGAIN] = (0.0, 1.0)
    second = looked(answers, AGAIN)
    got: list[Hit | None] = []
    answers.wait(second, 1000, got.append)
    model.answer()
    assert got == [None]
    model.asked.clear()
    answers.keep(second, said(chat_answer("Other.")), 0)
    assert model.asked == []
    assert answers.counts().questions == 2


def test_a_model_that_does_not_answer_is_a_miss() -> None:
    answers, model = house()
    kept(answers, model)
    model.vectors[AGAIN] = None
    got: list[Hit | None] = []
    answers.wait(looked(answers, AGAIN), 1000, got.append)
    model.answer()
    assert got == [None]


def test_a_call_that_leaves_is_not_told() -> None:
    answers, model = house()
    kept(answers, model)
    got: list[Hit | None] = []
    cancel = answers.wait(looked(answers, AGAIN), 1000, got.append)
    cancel()
    model.answer()
    assert got == []


def test_a_refresh_does_not_wait() -> None:
    answers, model = house()
    kept(answers, model)
    assert not looked(answers, AGAIN, mode="refresh").waits


def test_vectors_have_length_one_and_words_make_likeness() -> None:
    assert normalised((3.0, 4.0)) == (0.6, 0.8)
    assert normalised((0.0, 0.0)) == (0.0, 0.0)
    near = cosine(word_vector("reset the password"), word_vector("resetting a password"))
    far = cosine(word_vector("reset the password"), word_vector("boil an egg"))
    assert near > 0.4 > far
    assert cosine((1.0,), (1.0, 0.0)) == 0.0

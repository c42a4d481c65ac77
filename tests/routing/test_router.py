"""The owner of what choosing remembers: sessions, speeds, what was noticed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from freehold.core.servers import ServerLoad, ServerState, ServerView
from freehold.routing.outcomes import Beliefs, Outcome, usual
from freehold.routing.router import Answered, Routed, Router
from freehold.routing.standing import LOAD_S, standing_of
from freehold.routing.sticky import Sessions, asked_again
from freehold.routing.world import AliasRule, Ask, Belief, RoutingRules, Standing, Sticky
from tests.routing.worlds import BEST, CHEAP, HOUSE, LOCAL, ask, place

QUESTION = "Why does the second test fail?"


def router(*, rules: RoutingRules | None = None, **parts: object) -> Router:
    made = Router(**parts)  # pyright: ignore
    made.use(rules or RoutingRules(), HOUSE)
    return made


def idle(_: object) -> Standing:
    return Standing()


def route(one: Router, call: Ask | None = None, now_ms: int = 0) -> Routed:
    return one.route(call or ask(task="chat", session="s", prompt=QUESTION, question=7), idle, now_ms, 1.0)


def answered(one: Router, routed: Routed, name: str, now_ms: int = 0, **facts: object) -> None:
    one.answered(routed, Answered(**({"deployment": name, "receipt": "r1"} | facts)), now_ms)  # pyright: ignore


def test_what_leaves_the_choice_to_us() -> None:
    one = Router()
    assert not one.takes("auto")
    aliases = {"wise": AliasRule("auto", ("qwen",)), "plain": AliasRule("order", ("qwen",))}
    one.use(RoutingRules(aliases=aliases), HOUSE)
    assert [one.takes(name) for name in ("auto", "wise", "plain", "qwen", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    one.use(RoutingRules(), HOUSE, {"auto"})
    assert not one.takes("auto")


def test_a_question_asked_again_goes_up_and_counts_against_who_answered() -> None:
    one, noticed = router(), list[Outcome]()
    one.on_outcome = noticed.append
    first = route(one)
    assert first.decision.candidates[0].name == "qwen"
    answered(one, first, "qwen")
    again = route(one, now_ms=60_000)
    assert again.ask.failed == ("qwen",)
    assert again.decision.candidates[0].name == "p/mini"
    assert [(each.deployment, each.source, each.score, each.receipt) for each in noticed] == [
        ("qwen", "retry", 0.0, "r1")
    ]
    assert one.beliefs.belief("chat", "qwen", "local").mean < usual("chat", "local").mean


@pytest.mark.parametrize(
    ("call", "after_ms", "again"),
    [
        (ask(prompt=QUESTION, question=7), 60_000, True),
        (ask(prompt=QUESTION, question=7), 600_000, False),
        (ask(prompt=QUESTION, question=8), 60_000, False),
        (ask(prompt=QUESTION, question=0), 60_000, False),
        (ask(prompt="go on", question=7), 60_000, False),
        (ask(prompt=QUESTION, question=7, task="heartbeat"), 60_000, False),
        (ask(prompt=QUESTION, question=7, prefix=b"another document"), 60_000, False),
        (ask(prompt=QUESTION, question=7), -60_000, False),
    ],
)
def test_what_counts_as_asking_again(call: Ask, after_ms: int, again: bool) -> None:
    former = Sticky(deployment="qwen", at_ms=0, question=7, task="chat")
    assert asked_again(call, former, after_ms) is again
    assert not asked_again(call, None, after_ms)


def test_a_session_stays_and_is_forgotten_in_time() -> None:
    sessions = Sessions(keep_s=10.0, most=2)
    for name in ("a", "b", "c"):
        sessions.stay(name, Sticky(deployment="qwen", at_ms=1000))
    sessions.stay("", Sticky(deployment="qwen"))
    assert len(sessions) == 2
    assert sessions.of("a", 1000) is None
    assert sessions.of("c", 11_000) is not None
    assert sessions.of("c", 11_001) is None
    sessions.forget("qwen")
    assert len(sessions) == 0


def test_a_session_of_the_future_is_forgotten_when_the_clock_is_set_back() -> None:
    sessions = Sessions(keep_s=10.0)
    sessions.stay("s", Sticky(deployment="qwen", at_ms=1_000_000))
    assert sessions.of("s", 999_000) is not None
    assert sessions.of("s", 1_000_000 - 3_600_000) is None


def test_the_same_words_about_another_document_are_no_second_try() -> None:
    one = router()
    for number in range(3):
        asked = ask(task="chat", session="s", prompt=QUESTION, question=7, prefix=b"document %d" % number)
        routed = route(one, asked, now_ms=number * 1000)
        assert routed.ask.failed == ()
        answered(one, routed, "qwen", now_ms=number * 1000)


def test_the_length_and_speed_of_answers_are_learned() -> None:
    one = router()
    for _ in range(20):
        routed = route(one, ask(task="chat"))
        answered(one, routed, "qwen", output_tokens=50, first_s=0.4, total_s=1.4)
    routed = route(one, ask(task="chat"))
    assert routed.ask.output_tokens == 50
    (here,) = [each for each in routed.decision.considered if each.name == "qwen"]
    assert here.wait_s == pytest.approx(0.4 + 50 / 50)
    assert list(one.first_bytes("qwen")) == [0.4] * 20
    assert one.first_bytes("nobody") == ()


def test_outstanding_work_of_providers_is_counted() -> None:
    twins = (place("p/one", "balanced", 1.0, model="m"), place("q/one", "balanced", 1.0, model="m"))
    one = Router()
    one.use(RoutingRules(), twins)
    one.began("p/one")
    one.began("p/one")
    assert route(one, ask()).decision.candidates[0].name == "q/one"
    one.ended("p/one")
    one.ended("p/one")
    one.ended("p/one")
    one.began("q/one")
    assert route(one, ask()).decision.candidates[0].name == "p/one"


def test_an_answer_that_was_seen_to_be_bad_is_noticed_once() -> None:
    one, noticed = router(), list[Outcome]()
    one.on_outcome = noticed.append
    routed = route(one)
    one.insufficient(routed, "qwen", "r9")
    assert [(each.task, each.deployment, each.source, each.receipt) for each in noticed] == [
        ("chat", "qwen", "escalation", "r9")
    ]
    assert one.task_of("r9") == "chat"
    assert one.task_of("r0") == ""


class Reader:
    """A learner that knows one thing: riddles are maths, and qwen cannot do them."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def guess(self, prompt: str) -> str:
        return "maths" if "riddle" in prompt else ""

    def beliefs(self, prompt: str, task: str, start: Mapping[str, Belief]) -> Mapping[str, Belief]:
        return {**start, "qwen": Belief(0.1, 0.01, 50)} if task == "maths" else start

    def learn(self, prompt: str, outcome: Outcome, start: float) -> None:
        assert start == usual("", "local").mean
        self.heard.append((prompt, outcome.score))


def test_a_learner_reads_prompts_and_hears_of_their_outcomes() -> None:
    reader = Reader()
    one = router(learner=reader)
    riddle = route(one, ask(prompt="a riddle"))
    assert riddle.decision.task == "maths"
    assert riddle.decision.candidates[0].name != "qwen"
    answered(one, riddle, "glm")
    one.learn(Outcome(task="maths", deployment="glm", score=1.0, receipt="r1"))
    one.learn(Outcome(task="maths", deployment="glm", score=1.0, receipt="other"))
    assert reader.heard == [("a riddle", 1.0)]


def test_a_learner_hears_of_one_answer_once_however_often_somebody_thinks_again() -> None:
    reader = Reader()
    one = router(learner=reader)
    answered(one, route(one, ask(prompt="a riddle")), "glm")
    for score in (1.0, 0.0, 1.0):
        one.learn(Outcome(task="maths", deployment="glm", score=score, receipt="r1"))
    assert reader.heard == [("a riddle", 1.0)]


def test_who_only_complains_teaches_nothing_of_single_prompts() -> None:
    reader = Reader()
    one = router(learner=reader)
    routed = route(one, ask(prompt="a riddle"))
    one.insufficient(routed, "qwen", "r1")
    one.learn(Outcome(task="maths", deployment="qwen", score=0.0, source="retry", receipt="r1"))
    assert reader.heard == []
    one.checked(routed, "qwen", "r1", good=False)
    assert len(reader.heard) == 1


def test_calls_settle_where_the_answers_are_good_and_cheap() -> None:
    truth = {"qwen": 0.5, "glm": 0.9, "p/mini": 0.9, "p/opus": 0.93}
    one, chance = router(), Random(7)
    asked: list[str] = []
    for number in range(1200):
        routed = one.route(ask(task="chat"), idle, number, chance.random())
        name = routed.decision.candidates[0].name
        asked.append(name)
        good = float(chance.random() < truth[name])
        one.learn(Outcome(task="chat", deployment=name, score=good, receipt=f"r{number}"))
    assert asked.count("qwen") < 60  # it looked as good as the other local one, and is not
    assert asked[-400:].count("glm") > 360


def test_places_that_are_gone_keep_no_session() -> None:
    one = router(beliefs=Beliefs())
    routed = route(one)
    answered(one, routed, "qwen", first_s=0.1)
    one.use(RoutingRules(), (CHEAP, BEST))
    assert one.sessions.of("s", 0) is None
    one.use(RoutingRules(), (LOCAL, CHEAP, BEST))
    assert route(one, ask(task="chat")).decision.candidates[0].name == "qwen"


# -- how a server is doing


def view(state: ServerState, **facts: object) -> ServerView:
    return ServerView(**({"name": "a", "engine": "e", "model": "m", "model_id": "a", "state": state} | facts))  # pyright: ignore


def test_a_server_that_must_load_first_takes_as_long_as_it_usually_does() -> None:
    busy = ServerLoad(in_flight=2, queued=1)
    ready = standing_of(view(ServerState.READY, slots=2), busy, 3.0, 100.0)
    assert (ready.loaded, ready.wait_s, ready.outstanding, ready.slots) == (True, 3.0, 3, 2)
    assert standing_of(view(ServerState.STOPPED), ServerLoad(), None, 100.0).wait_s == LOAD_S
    loading = view(ServerState.LOADING, eta_s=30.0, started_load_s=90.0)
    assert standing_of(loading, ServerLoad(), 0.0, 100.0).wait_s == 20.0
    assert standing_of(loading, ServerLoad(), 0.0, 500.0).wait_s == 1.0
    failed = standing_of(view(ServerState.FAILED, detail="no such model"), ServerLoad(), None, 0.0)
    assert failed.barred == "has failed: no such model"

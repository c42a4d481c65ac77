"""How answers did: taken in, written down, believed, and known again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.app import outcomes as outcomes_module
from freehold.app.explain import explanation, own_explanation
from freehold.app.outcomes import FILE, LEARNED, OutcomeBook, load_beliefs, load_learned
from freehold.app.shadow_tally import FILE as SHADOWS
from freehold.app.shadow_tally import load_tallies, note_of, save_tallies, shadow_view
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import FreeholdError
from freehold.core.usage import Usage
from freehold.gateway.ids import ReceiptIds
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.outcomes import outcomes
from freehold.routing.explain import ExplainIn
from freehold.routing.outcomes import Beliefs, Outcome, usual
from freehold.routing.router import Answered, Router
from freehold.routing.shadow import AGENT
from freehold.routing.world import RoutingRules, Standing
from tests.cli.ledgers import START_MS, FixedClock
from tests.routing.worlds import HOUSE, ask
from tests.supervisor.keeping import until

CLOCK = FixedClock()


def unknown_standing(_: object) -> Standing:
    """Nobody looked."""
    return Standing()


def call(number: int, **facts: object) -> Receipt:
    fields = {
        "id": f"r{number:03d}",
        "outcome": "ok",
        "started_ms": START_MS,
        "deployment": "qwen",
        "server": "qwen",
        "task": "code",
        "model_asked": "auto",
        "usage": Usage(fresh_in=1000, visible_out=100),
        "cost_state": "free",
    }
    return Receipt(**(fields | facts))  # pyright: ignore


class Room:
    """A ledger, a router and the book between them."""

    def __init__(self, home: Path, ledger: Ledger) -> None:
        self.router = Router()
        self.router.use(RoutingRules(), HOUSE)
        self.ledger = ledger
        ids = ReceiptIds()
        self.book = OutcomeBook(
            home, self.router, CLOCK, ledger.append, ids.next, lambda: ledger.health().entries
        )
        self.book.load()


@contextlib.contextmanager
def room(home: Path, *before: Receipt) -> Iterator[Room]:
    """`before` is what an earlier start left in the ledger."""
    with Ledger.open(home, clock=CLOCK) as ledger:
        for receipt in before:
            ledger.append(receipt)
    with Ledger.open(home, clock=CLOCK) as ledger:
        yield Room(home, ledger)


def body(receipt: str = "r001", score: object = "fail", **more: object) -> bytes:
    return msgspec.json.encode({"receipt": receipt, "score": score, **more})


async def test_an_outcome_is_recorded_and_believed(tmp_path: Path) -> None:
    with room(tmp_path, call(1)) as one:
        view = await one.book.post(body(score=0.25, source="validator", note="two tests fail"))
        assert (view.receipt, view.task, view.deployment, view.score, view.trials) == (
            "r001",
            "code",
            "qwen",
            0.25,
            1.0,
        )
        assert view.chance < usual("code", "local").mean
        assert [row.deployment for row in one.book.beliefs()] == ["qwen"]
    (said,) = outcomes(tmp_path)
    assert (said.of, said.score_ppm, said.source, said.note) == (
        "r001",
        250_000,
        "validator",
        "two tests fail",
    )


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"{", "no outcome"),
        (body(score=2), "score is from 0 to 1"),
        (body(score="maybe"), "no outcome"),
        (body(source="gossip"), "no outcome"),
        (body(more=1), "no outcome"),
        (body("r999"), "no receipt"),
        (body("r002"), "no call that somebody answered"),
    ],
)
async def test_what_is_no_outcome_is_refused_in_words(tmp_path: Path, sent: bytes, words: str) -> None:
    before = (call(1), call(2, deployment="", outcome="refused"))
    with room(tmp_path, *before) as one, pytest.raises(FreeholdError, match=words):
        await one.book.post(sent)
    assert list(outcomes(tmp_path)) == []


async def test_a_task_that_nobody_said_is_the_one_that_was_recognised(tmp_path: Path) -> None:
    with room(tmp_path, call(1, task="")) as one:
        routed = one.router.route(ask(guess="maths"), unknown_standing, START_MS, 1.0)
        one.router.answered(routed, Answered(deployment="qwen", receipt="r001"), START_MS)
        assert (await one.book.post(body())).task == "maths"
        assert (await one.book.post(body(task="review"))).task == "review"


def same(one: Beliefs, other: Beliefs) -> bool:
    return msgspec.json.encode(one.tallies) == msgspec.json.encode(other.tallies)


async def test_beliefs_are_known_again_after_an_end_a_crash_and_a_lost_file(tmp_path: Path) -> None:
    with room(tmp_path) as one:
        for number in range(6):
            one.ledger.append(call(number))
            await one.book.post(body(f"r{number:03d}", 1.0 if number % 2 else 0.0))
            if number == 3:
                await one.book.save()  # and nothing after it
        before = one.router.beliefs
    assert same(load_beliefs(tmp_path), before)
    (tmp_path / FILE).write_bytes(b"{torn")
    assert same(load_beliefs(tmp_path), before)
    (tmp_path / FILE).unlink()
    assert same(load_beliefs(tmp_path), before)
    assert load_beliefs(tmp_path / "nowhere").tallies == {}


async def test_who_thinks_again_after_a_restart_is_counted_once(tmp_path: Path) -> None:
    with room(tmp_path, call(1)) as one:
        await one.book.post(body(score=0.0))
        await one.book.save()
    with room(tmp_path) as again:
        view = await again.book.post(body(score=1.0))
    assert view.trials == 1.0


@pytest.mark.parametrize("file", [FILE, SHADOWS])
def test_a_file_with_damaged_letters_is_made_anew(tmp_path: Path, file: Path) -> None:
    (tmp_path / "routing").mkdir()
    (tmp_path / file).write_bytes(b'{"v":1,"entries":0,"tallies":{"co\xffde":{}}}')
    assert load_beliefs(tmp_path).tallies == {}
    assert load_tallies(tmp_path) == {}


@contextlib.asynccontextmanager
async def kept(book: OutcomeBook, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What changes is written down beside the calls, at once."""
    monkeypatch.setattr(outcomes_module, "_SAVE_AFTER_S", 0.0)
    keeping = asyncio.create_task(book.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))


async def test_answers_that_were_given_are_known_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room(tmp_path) as one:
        routed = one.router.route(ask(task="chat", session="s"), unknown_standing, START_MS, 1.0)
        for number in range(5):
            one.router.insufficient(routed, "qwen", f"r{number}")
        for _ in range(100):
            one.router.beliefs.given("chat", "qwen")
        before = one.router.beliefs
        async with kept(one.book, monkeypatch):
            await until(lambda: (tmp_path / FILE).exists() and same(load_beliefs(tmp_path), before))


async def test_what_was_learned_of_prompts_is_kept_though_nobody_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room(tmp_path) as one:
        await one.book.load_learner()
        routed = one.router.route(ask(task="code", prompt="Add two numbers"), unknown_standing, START_MS, 1.0)
        one.router.checked(routed, "qwen", "r1", good=False)
        async with kept(one.book, monkeypatch):
            await until((tmp_path / LEARNED).exists)


async def test_a_house_without_calls_writes_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    before = outcomes_module.replace_file

    def replace_file(path: Path, data: bytes) -> None:
        before(path, data)
        written.append(path)

    monkeypatch.setattr(outcomes_module, "replace_file", replace_file)
    with room(tmp_path) as one:
        await one.book.load_learner()
        async with kept(one.book, monkeypatch):
            await until(lambda: written)
            for _ in range(50):
                await asyncio.sleep(0)
    assert written == [tmp_path / FILE]


async def test_what_the_router_notices_is_in_the_ledger_and_counted_once(tmp_path: Path) -> None:
    with room(tmp_path) as one:
        routed = one.router.route(ask(task="chat", session="s"), unknown_standing, START_MS, 1.0)
        one.router.insufficient(routed, "qwen", "r001")
        assert one.router.beliefs.belief("chat", "qwen", "local").trials == 1.0
        before = one.router.beliefs
    assert [(said.source, said.of) for said in outcomes(tmp_path)] == [("escalation", "r001")]
    assert same(load_beliefs(tmp_path), before)


async def test_what_was_learned_of_prompts_outlives_the_process(tmp_path: Path) -> None:
    prompt = "Which planet of the solar system has the most moons, and why?"
    around = {"qwen": usual("question", "local")}
    with room(tmp_path) as one:
        await one.book.load_learner()
        learner = one.router.learner
        assert learner is not None
        for number in range(20):
            call = ask(prompt=prompt, task="question")
            routed = one.router.route(call, unknown_standing, START_MS, 1.0)
            one.router.answered(routed, Answered(deployment="qwen", receipt=f"r{number}"), START_MS)
            one.router.learn(Outcome(task="question", deployment="qwen", score=0.0, receipt=f"r{number}"))
        await one.book.save()
        seen = learner.beliefs(prompt, "question", around)["qwen"]
    assert seen.mean < 0.45
    again = load_learned(tmp_path).beliefs(prompt, "question", around)["qwen"]
    assert again.mean == pytest.approx(seen.mean, abs=0.01)
    (tmp_path / LEARNED).write_bytes(b"torn")
    assert load_learned(tmp_path).beliefs(prompt, "question", around) == around


async def test_what_shadows_found_is_counted_apart_and_known_again(tmp_path: Path) -> None:
    with room(tmp_path) as one:
        for number, (tier, score) in enumerate((("local", 1.0), ("local", 0.1), ("balanced", 0.9))):
            place = "qwen" if tier == "local" else "p/mini"
            outcome = Outcome(task="review", deployment=place, score=score, source="judge", receipt="s1")
            one.book.compared(outcome, f"r{number}", AGENT, note_of(tier, f"r{number}", "judged by p/opus"))
        judged = Outcome(task="review", deployment="qwen", score=1.0, source="judge", receipt="r9")
        one.book.noticed(judged)  # by somebody else: it is no comparison of ours
        tallies = load_tallies(tmp_path)
        save_tallies(tmp_path, tallies, one.ledger.health().entries)
    (task,) = shadow_view(tmp_path).tasks
    assert (task.task, task.compared, task.good) == ("review", 2, 1)
    assert [(each.deployment, each.tier, each.compared, each.good) for each in task.places] == [
        ("qwen", "local", 2, 1),
        ("p/mini", "balanced", 1, 1),
    ]
    (tmp_path / SHADOWS).write_bytes(b"torn")
    assert load_tallies(tmp_path) == tallies


def test_a_past_call_and_a_prompt_are_explained(tmp_path: Path) -> None:
    with room(tmp_path, call(1, route="auto: qwen (local)")) as one:
        past = explanation(one.router, unknown_standing, ExplainIn(receipt="r001"), tmp_path, START_MS)
        assert (past.deployment, past.cost_nanos, past.reason) == ("qwen", 0, "auto: qwen (local)")
        assert {row.name: row.price_nanos for row in past.candidates}["p/opus"] == 7_000_000
        asked = ExplainIn(prompt="x" * 4000, task="review", output_tokens=10)
        now = explanation(one.router, unknown_standing, asked, tmp_path, START_MS)
        assert (now.candidates[0].name, now.input_tokens, now.output_tokens) == ("p/opus", 1000, 10)
        busy = explanation(
            one.router, lambda _: Standing(barred="rests"), ExplainIn(prompt="x"), tmp_path, START_MS
        )
        assert all(row.why == "rests" for row in busy.candidates)


def test_an_empty_house_explains_that_nobody_takes_part(tmp_path: Path) -> None:
    found = own_explanation(LoadedConfig(Config()), tmp_path, {}, ExplainIn(prompt="x"))
    assert "no model takes part" in found.reason
    assert not found.live

"""Cheap answers held against each other: what they are worth together, who is asked, what outcomes teach."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.jury import Jury, expected, pattern_of, price_of_wrong_usd
from freehold.routing.learn.answers import GivenAnswer
from freehold.routing.learn.cascade import Further
from freehold.routing.learn.features import Features
from freehold.routing.learn.shipped import features_of
from freehold.routing.outcomes import Outcome

LONG, OTHER_LONG = "a tale of wind and waves " * 20, "the history of bread in seven towns " * 20
GLM = Further(deployment="glm", chance=0.75, usd=0.0001, peer=True)
OPUS = Further(deployment="opus", chance=0.95, usd=0.02)


def said(text: str, name: str = "qwen", belief: float = 0.75) -> GivenAnswer:
    return GivenAnswer(deployment=name, text=text, out_tokens=8.0, belief=belief)


def wrong_usd(quality: float = 0.95) -> float:
    return price_of_wrong_usd(quality, OPUS)


def test_agreement_is_worth_more_and_disagreement_less_than_one_answer() -> None:
    (alone,) = expected([said("4")])
    agree = expected([said("4"), said("The answer is 4.", "glm")])
    apart = expected([said("4"), said("5", "glm")])
    assert alone == 0.75
    assert agree[0] == agree[1] == pytest.approx(0.75**2 / (0.75**2 + 0.25**2 * 0.15))
    assert apart[0] == apart[1] < 0.5


def test_of_two_that_disagree_the_abler_one_is_more_probably_right() -> None:
    one, other = expected([said("4", belief=0.6), said("5", "glm", belief=0.8)])
    assert other > one
    assert one + other <= 1.0


def test_free_texts_that_differ_say_nothing() -> None:
    assert expected([said(LONG, belief=0.7), said(OTHER_LONG, "glm", belief=0.8)]) == (0.7, 0.8)
    assert pattern_of([said(LONG), said(LONG, "glm")]) == "agree"


def test_json_is_compared_whatever_its_order_and_wrapping() -> None:
    names = ", ".join(f'"field{number}": "some words of it"' for number in range(12))
    one, other = said(f'{{"n": 1, {names}}}'), said(f'```json\n{{ {names}, "n": 1.0 }}\n```', "glm")
    assert pattern_of([one, said(other.text.replace("1.0", "1"), "glm")]) == "agree"
    assert pattern_of([one, said(other.text.replace("1.0", "2"), "glm")]) == "apart"
    assert pattern_of([one, said("[1, 2]", "glm")]) == "apart"


@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_chances_are_chances(one: float, other: float, agree: bool) -> None:
    found = expected([said("4", belief=one), said("4" if agree else "5", "glm", belief=other)])
    assert all(0.0 <= chance <= 1.0 for chance in found)


def test_a_peer_is_asked_first_then_who_agrees_is_believed_and_else_one_better_is_asked() -> None:
    jury = Jury()
    first = jury.weigh(None, [said("4")], [GLM, OPUS], wrong_usd())
    assert (first.action, first.deployment, first.pattern) == ("ask", "glm", "alone")
    agree = jury.weigh(None, [said("4"), said("4", "glm")], [OPUS], wrong_usd())
    assert (agree.action, agree.pattern) == ("take", "agree")
    apart = jury.weigh(None, [said("4"), said("5", "glm")], [OPUS], wrong_usd())
    assert (apart.action, apart.deployment) == ("ask", "opus")


def test_one_answer_alone_is_never_reason_to_go_up() -> None:
    found = Jury().weigh(None, [said("4", belief=0.2)], [OPUS], wrong_usd())
    assert (found.action, found.best) == ("take", 0)


def test_a_sure_answer_needs_no_second() -> None:
    found = Jury().weigh(None, [said("4", belief=0.985)], [GLM, OPUS], wrong_usd(0.5))
    assert found.action == "take"


def test_less_wanted_quality_asks_less() -> None:
    given = [said("4"), said("5", "glm", belief=0.8)]
    assert Jury().weigh(None, given, [OPUS], wrong_usd(0.95)).action == "ask"
    assert Jury().weigh(None, given, [OPUS], wrong_usd(0.3)).action == "take"


@pytest.mark.parametrize("quality", [0.01, 0.5, 0.95, 1.0])
def test_a_wrong_answer_always_has_a_price(quality: float) -> None:
    free = Further(deployment="big", chance=0.9, usd=0.0)
    for best in (None, free, OPUS, Further(deployment="odd", chance=0.0, usd=1.0)):
        price = price_of_wrong_usd(quality, best)
        assert price > 0
        assert math.isfinite(price)


def judged(
    jury: Jury, number: int, given: list[GivenAnswer], features: Features | None, score: float
) -> None:
    """Such answers were weighed, and somebody says how the first one did."""
    receipt = f"r{number}"
    jury.remember(receipt, features, given, jury.weigh(features, given, [OPUS], wrong_usd()))
    jury.learn(Outcome(task="maths", deployment="qwen", score=score, receipt=receipt))


def test_where_agreement_proves_wrong_it_is_believed_less() -> None:
    jury, given = Jury(), [said("4"), said("4", "glm")]
    for number in range(60):
        judged(jury, number, given, None, 0.0)
    found = jury.weigh(None, given, [OPUS], wrong_usd())
    assert found.chances[0] < 0.3
    assert (found.action, found.deployment) == ("ask", "opus")
    apart = [said("4"), said("5", "glm")]
    assert jury.weigh(None, apart, [OPUS], wrong_usd()).chances == expected(apart)


def test_a_call_teaches_once_and_only_where_it_is_known() -> None:
    jury, given = Jury(), [said("4"), said("4", "glm")]
    judged(jury, 1, given, None, 0.0)
    after = jury.weigh(None, given, [OPUS], wrong_usd()).chances
    jury.learn(Outcome(task="maths", deployment="qwen", score=0.0, receipt="r1"))
    jury.learn(Outcome(task="maths", deployment="qwen", score=0.0, receipt="other"))
    assert jury.weigh(None, given, [OPUS], wrong_usd()).chances == after


def test_with_hundreds_of_outcomes_it_tells_apart_and_knows_it_after_a_restart() -> None:
    features = features_of("How many apples are left?", "maths")
    words, number = [said("seven apples"), said("seven apples", "glm")], [said("7"), said("7", "glm")]
    jury = Jury()
    for count in range(0, 240, 2):
        judged(jury, count, words, features, 0.0)
        judged(jury, count + 1, number, features, 1.0)
    assert jury.due
    grown = Jury.grown(jury.kept())
    assert grown is not None
    jury.use(grown)
    assert not jury.due
    for one in (jury, Jury.grown(jury.kept())):
        assert one is not None
        bad = one.weigh(features, words, [OPUS], wrong_usd()).chances[0]
        good = one.weigh(features, number, [OPUS], wrong_usd()).chances[0]
        assert good - bad > 0.2


def test_damaged_knowledge_is_left() -> None:
    assert Jury.grown(b"") is None
    assert Jury.grown(b"nonsense") is None


def test_no_text_is_kept() -> None:
    features = features_of("Where is the treasure?", "question")
    jury, given = Jury(), [said("under the old oak"), said("under the old oak", "glm")]
    for number in range(5):
        judged(jury, number, given, features, 1.0)
    jury.remember("r", features, given, jury.weigh(features, given, [OPUS], wrong_usd()))
    assert b"oak" not in jury.kept()
    assert "oak" not in repr(vars(jury))


def test_what_is_kept_and_damaged_is_nothing() -> None:
    jury = Jury()
    judged(jury, 1, [said("4"), said("4", "glm")], None, 1.0)
    kept = jury.kept()
    for at in range(len(kept)):
        for sign in (0x80, 0xC1, 0xFF):
            jury.grown(kept[:at] + bytes((sign,)) + kept[at + 1 :])
        jury.grown(kept[:at])

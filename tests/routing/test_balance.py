"""Several places with one model: same beginnings to the same place, and nobody waits beside an idle one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.balance import balanced
from freehold.routing.coalesce import CallFacts, coalesce_key, reattach_key
from freehold.routing.hedge import HedgeRules, hedge_after_s
from freehold.routing.world import Standing

NAMES = ("a", "b", "c", "d")


def load(**outstanding: int) -> dict[str, Standing]:
    return {name: Standing(outstanding=count, slots=4, loaded=True) for name, count in outstanding.items()}


def test_a_prefix_stays_where_it_is_until_its_server_is_much_busier() -> None:
    home = balanced(NAMES, {}, b"prompt")[0]
    assert balanced(NAMES, load(**{home: 3}), b"prompt")[0] == home
    assert balanced(NAMES, load(**{home: 4}), b"prompt")[0] != home
    everyone = load(a=7, b=7, c=7, d=7)
    assert balanced(NAMES, everyone, b"prompt")[0] == home


def test_without_a_prefix_the_idlest_is_asked() -> None:
    assert balanced(NAMES, load(a=3, b=1, c=2, d=4), b"")[0] == "b"


def test_what_must_be_loaded_first_waits_behind_what_is_there() -> None:
    home = balanced(NAMES, {}, b"prompt")[0]
    cold = {name: Standing(loaded=name != home) for name in NAMES}
    assert balanced(NAMES, cold, b"prompt")[0] != home


_loads = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Standing,
        outstanding=st.integers(0, 20),
        slots=st.integers(1, 8),
        loaded=st.sampled_from([True, False, None]),
    ),
)


@given(st.lists(st.sampled_from(NAMES), unique=True), _loads, st.binary(max_size=8))
def test_everybody_is_there_once(names: Sequence[str], loads: Mapping[str, Standing], prefix: bytes) -> None:
    assert sorted(balanced(names, loads, prefix)) == sorted(names)


@given(st.sets(st.sampled_from(NAMES), min_size=2), st.binary(min_size=1, max_size=8))
def test_a_server_that_goes_takes_only_its_own_prefixes(names: set[str], prefix: bytes) -> None:
    home = balanced(sorted(names), {}, prefix)[0]
    for gone in names - {home}:
        assert balanced(sorted(names - {gone}), {}, prefix)[0] == home


# -- asking twice, and asking once for two


def test_slow_is_slower_than_usual_for_this_place() -> None:
    rules = HedgeRules(share=0.1, quantile=0.95, least_s=0.05)
    history = [0.1] * 94 + [0.4] + [3.0] * 5
    assert hedge_after_s(history, rules) == 0.4
    assert hedge_after_s([0.01] * 50, rules) == 0.05
    assert hedge_after_s(history[:19], rules) is None
    assert hedge_after_s(history, HedgeRules()) is None  # only who asks for it
    assert hedge_after_s(history, rules, calls=100, hedged=11) is None
    assert hedge_after_s(history, rules, calls=100, hedged=10) == 0.4


SURE, DICE = b'{"model":"m","temperature":0}', b'{"model":"m"}'


def facts(endpoint: str = "chat", body: bytes = SURE, **more: object) -> CallFacts:
    return CallFacts(**({"endpoint": endpoint, "body": body, "who": "k1"} | more))  # pyright: ignore


def test_only_answers_without_chance_are_shared() -> None:
    assert coalesce_key(facts()) == coalesce_key(facts(session="s"))
    assert coalesce_key(facts(body=DICE)) is None
    assert coalesce_key(facts("embeddings", DICE)) is not None
    assert coalesce_key(facts("images.generations")) is None


def test_answers_are_not_shared_between_keys_bodies_places_or_betas() -> None:
    keys = [
        coalesce_key(facts()),
        coalesce_key(facts(who="k2")),
        coalesce_key(facts(body=SURE + b" ")),
        coalesce_key(facts("messages")),
        coalesce_key(facts(variant=b"beta")),
    ]
    assert len(set(keys)) == 5


def test_a_retry_within_a_session_goes_on_with_the_answer_that_was_cut() -> None:
    assert reattach_key(facts(body=DICE, session="s")) is not None
    assert reattach_key(facts(body=DICE)) is None
    assert reattach_key(facts(body=DICE, session="s")) != reattach_key(facts(body=DICE, session="t"))

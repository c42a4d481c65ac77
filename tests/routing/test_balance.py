"""Several places with one model: same beginnings to the same place, and nobody waits beside an idle one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.balance import balanced
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

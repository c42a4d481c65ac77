"""A request that was there at two deaths is refused; one that was there once is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.supervisor.quarantine import Quarantine, after_death, blocks, forgive

digests = st.lists(st.sampled_from("abcd"), max_size=4)
stories = st.lists(st.tuples(digests, st.sampled_from(["glm", "qwen"])), max_size=8)


def after(*deaths: tuple[list[str], str]) -> Quarantine:
    quarantine = Quarantine()
    for under_way, server in deaths:
        quarantine = after_death(quarantine, under_way, server)
    return quarantine


def test_the_second_death_blocks_it_everywhere_with_a_reason() -> None:
    once = after((["poison", "innocent"], "glm"))
    assert blocks(once, "poison", "glm") is None
    twice = after_death(once, ["poison"], "glm")
    message = blocks(twice, "poison", "glm")
    assert message is not None and "2 deaths of glm" in message
    assert blocks(twice, "poison", "qwen") is not None
    assert blocks(twice, "innocent", "glm") is None
    assert blocks(twice, "never seen", "glm") is None
    assert twice.blocked == {"poison"}


def test_a_request_sent_twice_at_one_death_counts_once() -> None:
    assert blocks(after((["x", "x", "x"], "glm")), "x", "glm") is None


def test_a_person_who_starts_the_server_gives_it_another_chance() -> None:
    quarantine = after((["x"], "glm"), (["x"], "glm"), (["x"], "qwen"))
    assert blocks(quarantine, "x", "glm") is not None
    assert blocks(forgive(quarantine, "glm"), "x", "glm") is None
    assert forgive(forgive(quarantine, "glm"), "qwen") == Quarantine()


@given(stories)
def test_exactly_what_met_two_deaths_is_blocked(story: list[tuple[list[str], str]]) -> None:
    quarantine = after(*story)
    for digest in "abcd":
        met = sum(digest in under_way for under_way, _ in story)
        assert (blocks(quarantine, digest, "glm") is not None) == (met >= 2)


def test_it_stays_bounded_and_the_oldest_leave_first() -> None:
    quarantine = after(([f"d{number}" for number in range(5_000)], "glm"))
    assert len(quarantine.suspects) == 4_096
    assert quarantine.suspects[-1].digest == "d4999"

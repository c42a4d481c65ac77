"""The order of turns that upstreams accept."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from freehold.dialects.conversation import Part, Text, ToolCall, ToolResult, Turn
from freehold.dialects.fields import Losses
from freehold.dialects.turns import arranged

IDS = st.sampled_from(["a", "b", "c"])
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, st.sampled_from(["x", "y", ""])),
    st.builds(lambda i: ToolCall(id=i, name="f", arguments="{}"), IDS),
    st.builds(lambda i: ToolResult(call_id=i, parts=(Text("r"),)), IDS),
)
ROLES = st.sampled_from(["system", "user", "assistant"])


def turn(role: str, parts: list[Part]) -> Turn:
    """Calls are the assistant's, results the user's."""
    kinds = {"system": Text, "user": Text | ToolResult, "assistant": Text | ToolCall}[role]
    seen: set[str] = set()
    kept: list[Part] = []
    for part in parts:
        key = part.id if isinstance(part, ToolCall) else ""
        if isinstance(part, kinds) and not (key and key in seen):
            seen.add(key)
            kept.append(part)
    return Turn(role, tuple(kept))  # type: ignore[arg-type]


TURNS = st.lists(st.builds(turn, ROLES, st.lists(PARTS, max_size=3)), max_size=8)


@given(turns=TURNS, place=st.sampled_from(["head", "after_user", "anywhere"]))
def test_any_history_becomes_one_that_upstreams_accept(turns: list[Turn], place: str) -> None:
    _, rest = arranged(turns, place, Losses())  # type: ignore[arg-type]
    roles = [each.role for each in rest]
    assert place == "anywhere" or all(one != other for one, other in itertools.pairwise(roles))
    assert place != "head" or "system" not in roles
    waiting: list[str] = []
    for each in rest:
        results = [part.call_id for part in each.parts if isinstance(part, ToolResult)]
        assert results == waiting
        waiting = [part.id for part in each.parts if isinstance(part, ToolCall)]
    assert waiting == []


@given(turns=TURNS)
def test_no_word_is_lost(turns: list[Turn]) -> None:
    system, rest = arranged(turns, "head", Losses())
    before = sum(part == Text(word) for each in turns for part in each.parts for word in ("x", "y"))
    texts = [part.text for each in rest for part in each.parts if isinstance(part, Text)]
    words = [text for text in texts if not text.startswith("[Result")]
    assert len(system) + len(words) == before


@given(turns=TURNS, more=TURNS)
def test_later_system_text_never_changes_the_head(turns: list[Turn], more: list[Turn]) -> None:
    start = [Turn("system", (Text("S"),)), Turn("user", (Text("x"),)), *turns]
    assert arranged(start, "head", Losses())[0] == arranged([*start, *more], "head", Losses())[0]


def test_text_that_is_already_a_reminder_is_not_wrapped_twice() -> None:
    said = "<system-reminder>be brief</system-reminder>"
    turns = [Turn("user", (Text("x"),)), Turn("system", (Text(said),))]
    assert arranged(turns, "head", Losses())[1][0].parts[1] == Text(said)

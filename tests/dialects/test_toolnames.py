"""Names that upstreams accept, and the way back to the client's."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from freehold.dialects.context import ToolOrigin
from freehold.dialects.toolnames import ToolNames

TOOLS = st.lists(st.tuples(st.text(max_size=12), st.text(min_size=1, max_size=90)), unique=True, max_size=8)


@given(tools=TOOLS)
def test_names_are_legal_distinct_and_lead_back(tools: list[tuple[str, str]]) -> None:
    names = ToolNames("chat")
    given_ = {tool: names.give(tool[1], tool[0]) for tool in tools}
    assert len(set(given_.values())) == len(tools)
    origins = names.origins()
    for (namespace, name), upstream in given_.items():
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", upstream)
        assert names.give(name, namespace) == upstream
        origin = origins.get(upstream, ToolOrigin(name=upstream))
        assert (origin.namespace, origin.name) == (namespace, name)


def test_a_name_does_not_depend_on_the_tools_before_it() -> None:
    """A prompt's prefix must stay the same while tools come and go."""
    long = "n" * 100
    alone, after = ToolNames("chat"), ToolNames("chat")
    after.give("other")
    assert alone.give(long, "ns") == after.give(long, "ns")


def test_ordinary_names_are_left_alone() -> None:
    names = ToolNames("messages")
    assert names.give("get_weather") == "get_weather"
    assert names.origins() == {}


def test_free_form_tools_are_remembered_under_their_own_name() -> None:
    names = ToolNames("chat")
    assert names.give("apply_patch", custom=True) == "apply_patch"
    assert names.origins() == {"apply_patch": ToolOrigin(kind="custom", name="apply_patch")}

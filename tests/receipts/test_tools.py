"""Uses of tools stand in the ledger beside the calls: as hashes, in no sum, found by their kind."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import FreeholdError
from freehold.receipts.ledger import Ledger
from freehold.receipts.query import Filter, list_receipts, open_readonly, totals
from freehold.receipts.tools import ToolUse, hash_of, read_tool, tool_id, tool_of, tool_receipt
from freehold.receipts.verify import verify
from tests.receipts.story import START_MS, FakeClock, make_receipt

NOW_MS = START_MS


def told(**facts: Any) -> ToolUse:
    return read_tool(msgspec.json.encode({"tool": "Bash"} | facts), NOW_MS)


def test_arguments_and_results_are_kept_as_hashes_only() -> None:
    use = told(arguments={"b": 1, "a": "geheim"}, result="geheim")
    assert use.arguments_sha256 == sha256(b'{"a":"geheim","b":1}').hexdigest()
    assert use.result_sha256 == sha256(b"geheim").hexdigest()
    assert "geheim" not in tool_receipt(use, "t1").detail


def test_half_an_emoji_in_what_a_tool_gave_is_replaced() -> None:
    use = read_tool(rb'{"tool": "Read", "result": "cut \ud83d"}', NOW_MS)
    assert use.result_sha256 == sha256("cut \ufffd".encode()).hexdigest()


def test_who_has_the_hashes_sends_them() -> None:
    assert told(result_sha256="ab" * 32).result_sha256 == "ab" * 32
    with pytest.raises(FreeholdError, match="result_sha256"):
        told(result_sha256="no hash")


def test_nothing_given_and_nothing_got_have_no_hash() -> None:
    use = told(arguments=None, result="")
    assert (use.arguments_sha256, use.result_sha256) == ("", "")


def test_a_use_without_a_time_has_ended_just_now() -> None:
    use = told(duration_ms=1500.5)
    assert (use.started_ms, use.duration_us) == (NOW_MS - 1500, 1_500_500)


@pytest.mark.parametrize("started_ms", [0, -5, NOW_MS + 10**9, 1 << 62])
def test_a_time_that_cannot_be_is_now(started_ms: int) -> None:
    assert told(started_ms=started_ms).started_ms == NOW_MS


def test_what_failed_says_so_in_one_line() -> None:
    use = told(ok=False, error="no such\n\tfile\x00")
    assert (use.ok, use.error) == (False, "no such file")
    assert (told(error="died").ok, told(ok=False).error) == (False, "failed")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no use of a tool"),
        (b"[]", "no use of a tool"),
        (b"{}", "`tool`"),
        (b'{"tool": ""}', "`\\$.tool`"),
        (b'{"tool": "x", "tol": 1}', "tol"),
        (b'{"tool": "x", "duration_ms": -1}', "duration_ms"),
        (b'{"tool": "x", "source": "A b"}', "source"),
        (b'{"tool": "\xff"}', "no use of a tool"),
        (b'{"tool": "x", "arguments": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no use of a tool"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, words: str) -> None:
    with pytest.raises(FreeholdError, match=words):
        read_tool(body, NOW_MS)


def test_the_same_use_has_the_same_id() -> None:
    assert tool_id("s", "toolu_1") == tool_id("s", "toolu_1")
    assert len({tool_id("s", "c"), tool_id("t", "c"), tool_id("s", "d"), tool_id("sc", "")}) == 4


def test_uses_are_listed_by_their_kind_and_are_in_no_sum(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=FakeClock()) as ledger:
        ledger.append(make_receipt(1))
        ledger.append(tool_receipt(told(ok=False, duration_ms=5), "t1"))
        ledger.append(tool_receipt(told(project="p"), "t2"))
    with open_readonly(tmp_path) as db:
        assert [row.id for row in list_receipts(db, Filter(kind="tool"))] == ["t2", "t1"]
        assert [row.id for row in list_receipts(db, Filter(kind="call"))] == ["rc_000001"]
        assert list_receipts(db, Filter(kind="outcome")) == []
        sums = totals(db)
    assert (sums.calls, sums.errors) == (1, 0)
    assert verify(tmp_path).ok


names = st.text(max_size=40)


@given(names.filter(bool), names, names, st.booleans(), st.integers(0, 10**9))
def test_entries_are_canonical_and_read_back(
    tool: str, call_id: str, server: str, ok: bool, duration_us: int
) -> None:
    use = ToolUse(
        tool=tool, call_id=call_id, server=server, ok=ok, started_ms=1, duration_us=duration_us, source="hook"
    )
    receipt = tool_receipt(use, "t1")
    assert receipt.detail.encode() == rfc8785.dumps(msgspec.json.decode(receipt.detail))
    assert tool_of(receipt) == use


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, min_size=1))
def test_the_order_of_keys_makes_no_other_hash(value: dict[str, Any]) -> None:
    assert hash_of(value) == hash_of(dict(reversed(value.items())))

"""The real Claude Code and the real Codex complete a turn with a tool call against the built-in model.

`@@tool` in the prompt makes the model call the agent's own shell tool; the agent runs the command, sends its
output back, and the model ends the turn. Nothing but Freehold is reached.
"""

from __future__ import annotations

import pytest

from freehold.testing.tiny_model import MODEL_NAME, scripts
from tests.compat.agents import Agents

pytestmark = [pytest.mark.foreign, pytest.mark.engine, pytest.mark.xdist_group("tiny")]

LAST_WORDS = scripts.texts()[scripts.AFTER_TOOL]
RECITED = scripts.texts()[scripts.DEFAULT]


@pytest.fixture
def agents(tiny, tmp_path):
    return Agents(tmp_path, tiny.url)


def check_receipts(receipts, endpoint):
    """Two calls: the request with its tool call, then the tool's output; the engine keeps the prefix."""
    assert [(receipt.endpoint, receipt.outcome, receipt.status) for receipt in receipts] == [
        (endpoint, "ok", 200)
    ] * 2
    first, second = (receipt.usage for receipt in receipts)
    assert first.input_total > 1000, "an agent's instructions are long"
    assert second.input_total > first.input_total
    assert second.cache_read >= 0.9 * first.input_total, "the prefix is not read twice"
    assert second.fresh_in < 1000
    assert 0 < first.visible_out < 100
    assert 0 < second.visible_out < 100
    assert {receipt.cost_nanos for receipt in receipts} == {0}
    assert {receipt.usage_state for receipt in receipts} == {"reported"}


def test_claude_code_uses_its_tool(tiny, agents):
    turn = agents.claude(MODEL_NAME, "please @@tool", "--allowedTools", "Bash")
    assert turn.status == 0, turn.errors
    blocks = [block for event in turn.of("assistant") for block in event["message"]["content"]]
    (call,) = [block for block in blocks if block["type"] == "tool_use"]
    assert (call["name"], call["input"]) == ("Bash", scripts.TOOL_CALLS["Bash"])
    (seen,) = turn.of("user")
    assert seen["tool_use_result"]["stdout"] == "freehold", "the command ran on this machine"
    (result,) = turn.of("result")
    assert (result["is_error"], result["num_turns"], result["result"]) == (False, 2, LAST_WORDS)
    receipts = tiny.new_receipts()
    check_receipts(receipts, "messages")
    assert {receipt.session for receipt in receipts} == {result["session_id"]}
    used = result["usage"]
    assert used["input_tokens"] == sum(receipt.usage.fresh_in for receipt in receipts)
    assert used["cache_read_input_tokens"] == sum(receipt.usage.cache_read for receipt in receipts)
    assert used["output_tokens"] == sum(receipt.usage.output_total for receipt in receipts)


def test_claude_code_talks_and_goes_on_with_a_session(tiny, agents):
    (first,) = agents.claude(MODEL_NAME, "hello").of("result")
    (again,) = agents.claude(MODEL_NAME, "please @@unicode", "--resume", first["session_id"]).of("result")
    assert (first["result"], again["result"]) == (RECITED, scripts.texts()["unicode"])
    assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok", "ok"]


def test_codex_uses_its_tool(tiny, agents):
    turn = agents.codex(MODEL_NAME, "please @@tool")
    assert turn.status == 0, turn.errors
    done = {item["type"]: item for event in turn.of("item.completed") for item in [event["item"]]}
    ran = done["command_execution"]
    assert (ran["aggregated_output"], ran["exit_code"]) == ("freehold\n", 0), (
        "the command ran on this machine"
    )
    assert done["agent_message"]["text"] == LAST_WORDS
    receipts = tiny.new_receipts()
    check_receipts(receipts, "responses")
    (ended,) = turn.of("turn.completed")
    assert ended["usage"]["input_tokens"] == sum(receipt.usage.input_total for receipt in receipts)
    assert ended["usage"]["cached_input_tokens"] == sum(receipt.usage.cache_read for receipt in receipts)
    assert ended["usage"]["output_tokens"] == sum(receipt.usage.output_total for receipt in receipts)


def test_codex_goes_on_with_a_session(tiny, agents):
    assert agents.codex(MODEL_NAME, "hello").status == 0
    turn = agents.codex(MODEL_NAME, "resume", "--last", "please @@unicode")
    assert turn.status == 0, turn.errors
    said = [
        event["item"]["text"]
        for event in turn.of("item.completed")
        if event["item"]["type"] == "agent_message"
    ]
    assert said == [scripts.texts()["unicode"]]
    assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok", "ok"]

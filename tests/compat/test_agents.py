"""The real Claude Code and the real Codex complete a turn with a tool call against the built-in model.

`@@tool` in the prompt makes the model call the agent's own shell tool; the agent runs the command, sends its
output back, and the model ends the turn. Nothing but Freehold is reached.
"""

from __future__ import annotations

import pytest

from freehold.testing.tiny_model import MODEL_NAME, scripts
from tests.compat import programs
from tests.compat.agents import run_agent

pytestmark = [pytest.mark.foreign, pytest.mark.engine, pytest.mark.xdist_group("tiny")]

LAST_WORDS = scripts.texts()[scripts.AFTER_TOOL]
RECITED = scripts.texts()[scripts.DEFAULT]


@pytest.fixture
def claude(tiny, tmp_path):
    """A turn of Claude Code, as `claude -p` runs it."""
    command = programs.program("claude")
    if command is None:
        pytest.skip("Claude Code is not fetched: make compat")

    def turn(prompt, *options):
        flags = ("--model", MODEL_NAME, "--output-format", "stream-json", "--verbose", *options)
        return run_agent(
            tmp_path,
            str(command),
            "-p",
            prompt,
            *flags,
            ANTHROPIC_BASE_URL=tiny.url,
            ANTHROPIC_AUTH_TOKEN="unused",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )

    return turn


@pytest.fixture
def codex(tiny, tmp_path):
    """A turn of Codex, as `codex exec` runs it."""
    command = programs.program("codex")
    if command is None:
        pytest.skip("Codex is not fetched: make compat")

    def turn(*arguments):
        place = f'{{name="Freehold",base_url="{tiny.url}/v1",wire_api="responses",env_key="FREEHOLD_KEY"}}'
        configured = {"model_provider": "freehold", "model": MODEL_NAME, "model_providers.freehold": place}
        flags = [part for name, value in configured.items() for part in ("-c", f"{name}={value}")]
        return run_agent(
            tmp_path,
            str(command),
            "exec",
            "--skip-git-repo-check",
            "--json",
            *flags,
            *arguments,
            FREEHOLD_KEY="unused",
        )

    return turn


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


def test_claude_code_uses_its_tool(tiny, claude):
    turn = claude("please @@tool", "--allowedTools", "Bash")
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


def test_claude_code_talks_and_goes_on_with_a_session(tiny, claude):
    (first,) = claude("hello").of("result")
    (again,) = claude("please @@unicode", "--resume", first["session_id"]).of("result")
    assert (first["result"], again["result"]) == (RECITED, scripts.texts()["unicode"])
    assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok", "ok"]


def test_codex_uses_its_tool(tiny, codex):
    turn = codex("please @@tool")
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


def test_codex_goes_on_with_a_session(tiny, codex):
    assert codex("hello").status == 0
    turn = codex("resume", "--last", "please @@unicode")
    assert turn.status == 0, turn.errors
    said = [
        event["item"]["text"]
        for event in turn.of("item.completed")
        if event["item"]["type"] == "agent_message"
    ]
    assert said == [scripts.texts()["unicode"]]
    assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok", "ok"]

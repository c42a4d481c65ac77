"""The real Claude Code and the real Codex with stand-ins for providers of every dialect behind Freehold.

The stand-in thinks, says a word, calls the agent's shell tool, and ends the turn when the output has come.
"""

from __future__ import annotations

import pytest

from freehold.testing.standin import Behaviour, ToolCall
from tests.compat.agents import Agents

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("agents-on-providers")]

PLACES = ("alpha", "beta", "claude")
"""OpenAI with responses, OpenAI without, Anthropic."""
THOUGHT = "a thought"
CALLS = {
    "claude": ToolCall(name="Bash", arguments='{"command": "echo grüße", "description": "greet"}'),
    "codex": ToolCall(name="exec_command", arguments='{"cmd": "echo grüße"}'),
}
LATER = Behaviour(pieces=("All ", "done 🏠."))


@pytest.fixture
def agents(town, tmp_path):
    return Agents(tmp_path, town.house.url)


def first_answer(agent):
    return Behaviour(pieces=("I ", "look."), thinking=THOUGHT, tool_calls=(CALLS[agent],))


def check_receipts(town, endpoint, count=2):
    receipts = town.house.new_receipts()
    assert [(receipt.endpoint, receipt.outcome) for receipt in receipts] == [(endpoint, "ok")] * count
    assert [receipt.usage.input_total for receipt in receipts] == [11] * count
    assert all(receipt.usage.output_total > 0 for receipt in receipts)
    return receipts


@pytest.mark.parametrize("place", PLACES)
def test_claude_code_completes_a_turn(town, model, agents, place):
    upstream = getattr(town, place)
    upstream.script(first_answer("claude"), LATER)
    turn = agents.claude(f"{place}/{model}", "do it", "--allowedTools", "Bash")
    (result,) = turn.of("result")
    assert (result["is_error"], result["result"]) == (False, "All done 🏠."), turn.errors
    assert turn.of("user")[0]["tool_use_result"]["stdout"] == "grüße"
    check_receipts(town, "messages")


@pytest.mark.parametrize("place", PLACES)
def test_codex_completes_a_turn(town, model, agents, place):
    upstream = getattr(town, place)
    upstream.script(first_answer("codex"), LATER)
    turn = agents.codex(f"{place}/{model}", "do it")
    items = {item["type"]: item for event in turn.of("item.completed") for item in [event["item"]]}
    assert items["agent_message"]["text"] == "All done 🏠.", turn.errors
    assert items["command_execution"]["aggregated_output"] == "grüße\n"
    check_receipts(town, "responses")


def test_claude_codes_words_reach_a_provider_of_its_dialect(town, model, agents):
    """As they are, but for the changing line that only Anthropic itself can use."""
    town.claude.script(first_answer("claude"), LATER)
    agents.claude(f"claude/{model}", "do it", "--allowedTools", "Bash")
    first, second = town.claude.seen
    assert first.target == "/v1/messages?beta=true"
    assert first.header("anthropic-version")
    assert first.header("anthropic-beta"), "beta features stay switched on"
    assert first.header("x-api-key") == "sk-claude-secret-0123456789"
    assert first.header("authorization") is None, "the client's own token is not shown to the provider"
    assert first.json()["model"] == model
    assert "x-anthropic-billing-header" not in str(first.json()["system"])
    thought = next(message for message in second.json()["messages"] if message["role"] == "assistant")[
        "content"
    ][0]
    assert thought == {
        "type": "thinking",
        "thinking": THOUGHT,
        "signature": "c2lnbmVkIGJ5IHRoZSBzdGFuZC1pbg==",
    }
    assert {receipt.losses for receipt in check_receipts(town, "messages")} == {("attribution_line",)}


def test_codexs_tools_of_all_kinds_reach_a_chat_provider_as_functions(town, model, agents):
    agents.codex(f"beta/{model}", "do it")
    tools = town.beta.seen[0].json()["tools"]
    assert {tool["type"] for tool in tools} == {"function"}
    names = [tool["function"]["name"] for tool in tools]
    assert "exec_command" in names
    assert len(names) == len(set(names))
    assert all(len(name) <= 64 for name in names)


def test_codex_thinks_on_after_a_tool_call(town, model, agents):
    town.claude.script(first_answer("codex"), LATER)
    agents.codex(f"claude/{model}", "-c", 'model_reasoning_effort="high"', "do it")
    first, second = (seen.json() for seen in town.claude.seen)
    assert first["thinking"] == second["thinking"]
    thought = second["messages"][1]["content"][0]
    assert thought == {
        "type": "thinking",
        "thinking": THOUGHT,
        "signature": "c2lnbmVkIGJ5IHRoZSBzdGFuZC1pbg==",
    }


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_an_agent_survives_a_provider_that_fails_once(town, model, agents, agent):
    """The first place answers 503, so the alias' second one takes the call: the agent never knows."""
    town.alpha.by_model[model] = Behaviour(status=503)
    town.beta.script(LATER)
    turn = getattr(agents, agent)(f"smart-{model}", "do it")
    assert "All done 🏠." in str(turn.events), turn.errors
    (receipt,) = check_receipts(town, "messages" if agent == "claude" else "responses", 1)
    assert receipt.attempts[-1].deployment == f"beta/{model}"


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_an_agent_is_told_why_a_request_was_refused(town, model, agents, agent):
    town.beta.by_model[model] = Behaviour(status=400)
    turn = getattr(agents, agent)(f"beta/{model}", "do it")
    assert turn.status != 0
    assert "told to answer 400" in str(turn.events)
    assert {receipt.status for receipt in town.house.new_receipts()} == {400}

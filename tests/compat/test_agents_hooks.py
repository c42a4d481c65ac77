"""The real Claude Code and the real Codex with our hook in their settings: each tool used has a receipt."""

from __future__ import annotations

import json
import time

import pytest

from freehold.receipts.tools import hash_of
from freehold.testing.standin import Behaviour, ToolCall
from tests.compat.agents import Agents

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("agents-on-providers")]

LATER = Behaviour(pieces=("All ", "done 🏠."))
ASKED = {"command": "echo grüße", "description": "greet"}


@pytest.fixture
def agents(town, tmp_path):
    return Agents(tmp_path, town.house.url)


def install(town, agent, file):
    home = str(town.house.home)
    done = town.house.run(
        "hook", "install", agent, "--settings", str(file), "--home", home, "--project", "site"
    )
    assert done.returncode == 0, done.stderr


def uses(town, agent, count):
    deadline = time.monotonic() + 10
    while True:
        listed = json.loads(
            town.house.run("receipts", "list", "kind=tool", f"agent={agent}", "--json").stdout
        )
        if len(listed) >= count or time.monotonic() > deadline:
            return [
                json.loads(town.house.run("receipts", "show", row["id"], "--json").stdout) for row in listed
            ]
        time.sleep(0.05)


def test_claude_code_tells_of_its_tools(town, model, agents, tmp_path):
    install(town, "claude-code", tmp_path / "home" / ".claude" / "settings.json")
    good = ToolCall(name="Bash", arguments=json.dumps(ASKED))
    bad = ToolCall(name="Bash", arguments='{"command": "exit 3", "description": "fail"}')
    town.claude.script(Behaviour(tool_calls=(good,)), Behaviour(tool_calls=(bad,)), LATER)
    turn = agents.claude(f"claude/{model}", "do it", "--allowedTools", "Bash")
    (result,) = turn.of("result")
    assert result["result"] == "All done 🏠.", turn.errors
    failed, went_well = (shown["receipt"] for shown in uses(town, "claude-code", 2))
    calls = town.house.new_receipts()
    assert (went_well["outcome"], failed["outcome"], failed["error"]) == ("ok", "error", "exit code 3")
    assert (
        {went_well["session"], failed["session"]}
        == {call.session for call in calls}
        == {result["session_id"]}
    )
    assert (went_well["agent"], went_well["project"]) == ("claude-code", "site")
    detail = json.loads(went_well["detail"])
    assert (detail["tool"], detail["arguments_sha256"]) == ("Bash", hash_of(ASKED))
    assert detail["call_id"]
    assert detail["result_sha256"]


def test_codex_tells_of_its_tools(town, model, agents, tmp_path):
    install(town, "codex", tmp_path / "home" / ".codex" / "hooks.json")
    call = ToolCall(name="exec_command", arguments='{"cmd": "echo grüße"}')
    town.alpha.script(Behaviour(tool_calls=(call,)), LATER)
    # Codex asks its user once whether to trust a hook; there is nobody here.
    turn = agents.codex(f"alpha/{model}", "--dangerously-bypass-hook-trust", "do it")
    assert "All done 🏠." in str(turn.events), turn.errors
    (shown,) = uses(town, "codex", 1)
    use = shown["receipt"]
    assert {use["session"]} == {call.session for call in town.house.new_receipts()}
    detail = json.loads(use["detail"])
    assert (detail["tool"], detail["arguments_sha256"]) == ("Bash", hash_of({"command": "echo grüße"}))
    assert detail["result_sha256"] == hash_of("grüße\n")

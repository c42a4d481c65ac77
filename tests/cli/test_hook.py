"""`freehold hook`: agents tell of their tools, and are never kept waiting or led astray by it."""

from __future__ import annotations

import io
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli import hook_post
from freehold.cli.hook_event import mcp_name, use_of
from freehold.cli.hook_post import read_options
from freehold.core.errors import FreeholdError
from freehold.core.progress import RUN_FILE, Running
from freehold.receipts.spool import take
from tests.cli.answering import Running8400, answering
from tests.cli.conftest import Freehold, Ran

NOW_MS = 1_790_000_000_000
CLAUDE = {
    "session_id": "s-1",
    "transcript_path": "/home/me/.claude/t.jsonl",
    "cwd": "/home/me/site",
    "hook_event_name": "PostToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "cat geheim.txt"},
    "tool_response": {"stdout": "geheim", "stderr": "", "interrupted": False},
    "tool_use_id": "toolu_01",
    "duration_ms": 12,
}
VIEW = msgspec.json.encode({"id": "t1", "tool": "Bash", "ok": True, "started_ms": 1})

ASK_S = hook_post.ASK_S
PATIENT_S = 30.0
PATIENT = f"from freehold.cli import hook_post; hook_post.READ_S = hook_post.KEEP_S = {PATIENT_S};"
"""The same in a process of its own."""

Hook = Callable[..., Ran]


@pytest.fixture
def hook(freehold: Freehold, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """Runs the hook with an event on its first stream. It has time: a machine that pauses for a fifth of a
    second changes no story but those about time."""
    for bound in ("READ_S", "ASK_S", "KEEP_S"):
        monkeypatch.setattr(hook_post, bound, PATIENT_S)

    def run(event: object, *arguments: str) -> Ran:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return freehold("hook", "post-tool-use", *arguments)

    return run


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running8400]:
    with answering(tmp_path / "home") as server:
        yield server


def kept(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in take(home)]


# -- what events say


def test_an_event_of_claude_code_is_a_use_of_a_tool() -> None:
    use = use_of(json.dumps(CLAUDE).encode(), NOW_MS)
    assert (use.tool, use.call_id, use.session, use.server) == ("Bash", "toolu_01", "s-1", "")
    assert (use.ok, use.started_ms, use.duration_us) == (True, NOW_MS - 12, 12_000)
    assert use.arguments_sha256 == sha256(b'{"command":"cat geheim.txt"}').hexdigest()


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        (
            {"hook_event_name": "PostToolUseFailure", "error": "Command failed with exit code 2: geheim"},
            "exit code 2",
        ),
        ({"hook_event_name": "PostToolUseFailure", "error": "geheim"}, "failed"),
        ({"hook_event_name": "PostToolUseFailure", "is_interrupt": True}, "interrupted"),
        ({"tool_response": {"isError": True, "content": "geheim"}}, "failed"),
        ({"tool_response": {"success": False}}, "failed"),
        ({"tool_response": {"interrupted": True}}, "interrupted"),
        ({"tool_response": {"exit_code": 3}}, "exit code 3"),
        ({"tool_response": {"exit_code": 0}}, ""),
        ({"tool_response": "text"}, ""),
        ({"tool_response": None}, ""),
    ],
)
def test_how_it_failed_is_said_without_quoting(facts: dict[str, Any], error: str) -> None:
    use = use_of(json.dumps(CLAUDE | facts).encode(), NOW_MS)
    assert (use.error, use.ok) == (error, not error)


def test_a_tool_of_an_mcp_server_is_named_apart() -> None:
    use = use_of(json.dumps(CLAUDE | {"tool_name": "mcp__my_files__read__all"}).encode(), NOW_MS)
    assert (use.tool, use.server) == ("read__all", "my_files")
    told = use_of(json.dumps(CLAUDE | {"tool_name": "mcp__a__b", "mcp_server": "A"}).encode(), NOW_MS)
    assert (told.tool, told.server) == ("b", "A")


@pytest.mark.parametrize("name", ["Bash", "mcp__x", "mcp____y", "mcp__x__", "", "__a__b"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert mcp_name(name) == (name, "")


def test_the_plain_form_is_the_body_of_the_api() -> None:
    use = use_of(b'{"tool": "grep", "session": "s", "result": "geheim"}', NOW_MS)
    assert (use.tool, use.session, use.result_sha256) == ("grep", "s", sha256(b"geheim").hexdigest())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(CLAUDE)), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*CLAUDE, "mcp_server", "error", "tool"]), json_values))
def test_whatever_comes_is_a_use_or_is_refused_in_words(facts: dict[str, Any]) -> None:
    for event in (facts, CLAUDE | facts):
        try:
            use = use_of(json.dumps(event).encode(), NOW_MS)
        except FreeholdError as error:
            assert str(error)
        else:
            assert use.tool


def test_half_an_emoji_in_what_a_tool_gave_is_replaced() -> None:
    use = use_of(json.dumps(CLAUDE | {"tool_response": "cut \ud83d"}).encode(), NOW_MS)
    assert (use.tool, use.result_sha256) == ("Bash", sha256("cut \ufffd".encode()).hexdigest())


# -- the command


def test_a_running_freehold_gets_it(hook: Hook, running: Running8400, tmp_path: Path) -> None:
    running.answers["/api/v1/receipts/tool"] = (200, VIEW)
    ran = hook(CLAUDE, "--agent", "claude-code", "--project=site")
    assert (ran.exit, ran.out, ran.err) == (0, "", "")
    assert running.asked == ["POST /api/v1/receipts/tool"]
    assert kept(tmp_path / "home") == []


def test_without_one_it_waits_for_the_next_start(hook: Hook, tmp_path: Path) -> None:
    ran = hook(CLAUDE, "--agent", "claude-code", "--task", "review")
    assert (ran.exit, ran.out, ran.err) == (0, "", "")
    (event,) = kept(tmp_path / "home")
    assert (event["agent"], event["task"], event["call_id"]) == ("claude-code", "review", "toolu_01")
    assert "geheim" not in json.dumps(event)


def test_a_use_without_an_id_gets_one_that_is_its_own(hook: Hook, tmp_path: Path) -> None:
    for _ in range(2):
        hook({"tool": "grep"})
    ids = {event["call_id"] for event in kept(tmp_path / "home")}
    assert len(ids) == 2
    assert all(each.startswith("hook-") for each in ids)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "FREEHOLD_KEY"), (404, "no such thing"), (503, "503"), (500, "500")]
)
def test_one_that_does_not_take_it_is_told_of_in_one_line(
    hook: Hook, running: Running8400, tmp_path: Path, status: int, words: str
) -> None:
    body = b'{"error": {"code": "x", "message": "there is no such thing"}}'
    running.answers["/api/v1/receipts/tool"] = (status, body)
    ran = hook(CLAUDE)
    assert (ran.exit, ran.out, ran.err.count("\n")) == (0, "", 1)
    assert words in ran.err
    assert "kept until Freehold answers" in ran.err
    assert len(kept(tmp_path / "home")) == 1


@pytest.mark.parametrize("event", [b"", b"[]", b"{", b'{"tool": 7}', {"hook_event_name": "PreToolUse"}])
def test_what_is_no_event_breaks_nothing(hook: Hook, tmp_path: Path, event: object) -> None:
    ran = hook(event)
    assert (ran.exit, ran.out, ran.err.count("\n")) == (0, "", 1)
    assert kept(tmp_path / "home") == []
    assert hook(event, "--strict").exit == 1


def test_without_a_second_stream_nothing_is_said_on_the_first(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    ran = hook(b"{")
    assert (ran.exit, ran.out) == (0, "")


def test_a_mistake_in_the_settings_is_no_order_to_the_agent(hook: Hook) -> None:
    for arguments in (["--agnt", "x"], ["word"], ["--agent"]):
        ran = hook(CLAUDE, *arguments)
        assert (ran.exit, ran.err.count("\n")) == (0, 1)
    assert hook(CLAUDE, "--strict", "--agnt", "x").exit == 1


def test_a_state_folder_that_cannot_be_written_breaks_nothing(hook: Hook, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = hook(CLAUDE, "--home", str(tmp_path / "file"))
    assert (ran.exit, ran.err.count("\n")) == (0, 1)
    assert "the event is lost" in ran.err


def test_an_event_is_kept_where_a_busy_machine_leaves_no_time_to_ask(
    hook: Hook, running: Running8400, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = iter((0.0, PATIENT_S + 7.0))
    clock = SimpleNamespace(monotonic=lambda: next(clock_s), time_ns=time.time_ns)
    monkeypatch.setattr(hook_post, "time", clock)  # its own: other threads look at the real one
    ran = hook(CLAUDE)
    assert (ran.exit, running.asked) == (0, [])
    assert ran.err == "freehold hook: there was no time to ask Freehold; kept until Freehold answers\n"
    assert len(kept(tmp_path / "home")) == 1


def test_a_long_name_is_cut_and_an_impossible_time_left_out(hook: Hook, tmp_path: Path) -> None:
    ran = hook(CLAUDE | {"tool_name": "n" * 5000, "session_id": "s" * 5000, "duration_ms": 1e300})
    assert (ran.exit, ran.err) == (0, "")
    (event,) = kept(tmp_path / "home")
    assert (len(event["tool"]), len(event["session"]), event["duration_ms"]) == (256, 256, 0)


def test_an_event_without_a_tool_is_told_in_the_agents_own_names(hook: Hook) -> None:
    ran = hook(CLAUDE | {"tool_name": None})
    assert ran.err == "freehold hook: the event names no tool: `tool_name` is missing or empty\n"


def test_one_that_never_answers_is_not_waited_for(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_post, "ASK_S", ASK_S)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        home = tmp_path / "home"
        home.mkdir()
        note = Running(url=f"http://127.0.0.1:{deaf.getsockname()[1]}", pid=7, started_ms=1)
        (home / RUN_FILE).write_bytes(msgspec.json.encode(note))
        assert hook(CLAUDE).exit == 0
    assert len(kept(home)) == 1


def test_a_stream_that_never_ends_is_not_waited_for(
    freehold: Freehold, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "r") as stream, os.fdopen(writing, "w"):
        monkeypatch.setattr(sys, "stdin", stream)
        ran = freehold("hook", "post-tool-use")
    assert (ran.exit, ran.err) == (0, "freehold hook: no event came\n")


def test_it_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    code = (
        f"{PATIENT} import sys; from freehold.cli.main import main; main(['hook', 'post-tool-use']); "
        "print([name for name in ('typer', 'rich', 'asyncio', 'http.client') if name in sys.modules])"
    )
    env = os.environ | {"FREEHOLD_HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(CLAUDE).encode(),
        env=env,
        capture_output=True,
        check=True,
    )
    assert ran.stdout == b"[]\n"
    assert len(kept(tmp_path)) == 1


def test_many_at_once_are_all_kept(hook: Hook, tmp_path: Path) -> None:
    code = f"{PATIENT} import sys; from freehold.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "hook", "post-tool-use", "--home", str(tmp_path / "home")]
    ends: list[int] = []

    def tell(number: int) -> None:
        event = json.dumps(CLAUDE | {"tool_use_id": f"toolu_{number}"}).encode()
        ends.append(subprocess.run(command, input=event, check=False).returncode)

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [0] * 6
    assert len(kept(tmp_path / "home")) == 6


# -- settings


def test_the_settings_are_printed(freehold: Freehold) -> None:
    hooks = freehold("hook", "install", "claude-code").json["hooks"]
    assert list(hooks) == ["PostToolUse", "PostToolUseFailure"]
    (entry,) = hooks["PostToolUse"][0]["hooks"]
    assert entry["command"].endswith("hook post-tool-use --agent=claude-code")


def test_the_hook_names_what_it_was_told(freehold: Freehold, tmp_path: Path) -> None:
    told = ("--project", "my site", "--home", "h", "--url", "http://127.0.0.1:1")
    hooks = freehold("hook", "install", "codex", *told).json["hooks"]
    command = shlex.split(hooks["PostToolUse"][0]["hooks"][0]["command"])
    arguments = command[command.index("post-tool-use") + 1 :]
    options = read_options(arguments)
    assert (options.agent, options.project, options.url) == ("codex", "my site", "http://127.0.0.1:1")
    assert options.home == str(tmp_path / "h")


def test_they_are_written_into_a_file_beside_what_is_there_once(freehold: Freehold, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    mine = {"matcher": "Edit", "hooks": [{"type": "command", "command": "prettier"}]}
    file.write_text(json.dumps({"model": "opus", "hooks": {"PostToolUse": [mine], "Stop": []}}))
    file.chmod(0o644)
    for words in ("has the hook now", "has the hook already"):
        assert words in freehold("hook", "install", "claude-code", "--settings", str(file)).out
    settings = json.loads(file.read_text())
    assert (settings["model"], settings["hooks"]["Stop"]) == ("opus", [])
    assert settings["hooks"]["PostToolUse"][0] == mine
    assert len(settings["hooks"]["PostToolUse"]) == 2
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_not_there_is_made(freehold: Freehold, tmp_path: Path) -> None:
    file = tmp_path / ".codex" / "hooks.json"
    assert freehold("hook", "install", "codex", "--settings", str(file)).exit == 0
    assert list(json.loads(file.read_text())["hooks"]) == ["PostToolUse"]


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"hooks": {"PostToolUse": {}}}'])
def test_a_file_that_is_not_understood_stays(freehold: Freehold, tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(text)
    ran = freehold("hook", "install", "claude-code", "--settings", str(file))
    assert (ran.exit, file.read_text()) == (1, text)
    assert "nothing was changed" in ran.err


@pytest.mark.parametrize(
    "command", ["/opt/other/bin/audit-hook post-tool-use --json", "my-hook post-tool-use"]
)
def test_a_hook_of_another_program_stays(freehold: Freehold, tmp_path: Path, command: str) -> None:
    file = tmp_path / "settings.json"
    theirs = {"matcher": "*", "hooks": [{"type": "command", "command": command}]}
    file.write_text(json.dumps({"hooks": {"PostToolUse": [theirs]}}))
    assert freehold("hook", "install", "claude-code", "--settings", str(file)).exit == 0
    groups = json.loads(file.read_text())["hooks"]["PostToolUse"]
    assert (len(groups), groups[0]) == (2, theirs)


@pytest.mark.parametrize(
    "program", ["freehold", "/a/b/freehold", "'/a b/freehold'", "/usr/bin/python3 -m freehold"]
)
def test_a_hook_of_ours_is_replaced_wherever_the_program_was(
    freehold: Freehold, tmp_path: Path, program: str
) -> None:
    file = tmp_path / "settings.json"
    old = {"type": "command", "command": f"{program} hook post-tool-use --agent=codex --project=old"}
    file.write_text(json.dumps({"hooks": {"PostToolUse": [{"matcher": "*", "hooks": [old]}]}}))
    assert freehold("hook", "install", "codex", "--settings", str(file)).exit == 0
    (group,) = json.loads(file.read_text())["hooks"]["PostToolUse"]
    assert "--project=old" not in str(group)

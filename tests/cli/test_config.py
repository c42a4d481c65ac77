"""Stories of `freehold config`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from msgspec.structs import replace

from freehold.cli.exits import Exit
from freehold.core.config_diff import Change, FoundProblem, ReloadPlan
from freehold.core.config_schema import config_schema
from freehold.core.progress import RUN_FILE, Running
from tests.cli.answering import Running8400
from tests.cli.conftest import Freehold

SECRET = "sk-secret-0123456789"


def write(text: str) -> None:
    Path("freehold.yaml").write_text(text)


def test_without_a_file_all_is_well(freehold: Freehold) -> None:
    ran = freehold("config", "check")
    assert ran.exit == Exit.OK
    assert "no configuration file" in ran.out
    assert freehold("config", "check", "--json").json == {
        "file": None,
        "ok": True,
        "problems": [],
        "notes": [],
    }


def test_every_problem_is_named_at_once(freehold: Freehold) -> None:
    write("lisen: x\nservers:\n  a: {model: x, slots: many}\n")
    ran = freehold("config", "check")
    assert ran.exit == Exit.CONFIG
    assert "freehold.yaml:1: lisen" in ran.out
    assert "freehold.yaml:3: servers.a.slots" in ran.out
    assert "2 problems in" in ran.out
    problems = freehold("config", "check", "--json").json["problems"]
    assert [(each["line"], each["key"], each["nearest"]) for each in problems] == [
        (1, "lisen", "listen"),
        (3, "servers.a.slots", None),
    ]


def test_a_model_that_is_not_there_is_noted_but_is_no_mistake(freehold: Freehold) -> None:
    write("servers: {a: {model: absent.gguf}}\n")
    ran = freehold("config", "check")
    assert ran.exit == Exit.OK
    assert "note: servers.a.model: there is no file" in ran.out
    assert "is fine" in ran.out


def test_a_budget_or_price_for_nobody_is_noted(freehold: Freehold) -> None:
    write(
        "providers: {openai: {base_url: 'https://api.openai.com/v1', models: [gpt-5]}}\n"
        "prices: {openai/gpt-5: {input: 1}, opnai/gpt-5: {input: 1}}\n"
        "budgets:\n"
        "  - {scope: 'provider:opnai', limit_usd: 1}\n"
        "  - {scope: 'model:gpt-6', limit_usd: 1}\n"
        "  - {scope: 'key:00000000', limit_usd: 1}\n"
        "  - {scope: 'provider:openai', limit_usd: 1}\n"
        "  - {scope: 'model:gpt-5', limit_usd: 1}\n"
        "  - {scope: 'model:*', limit_usd: 1}\n"
        "  - {scope: 'agent:anybody', limit_usd: 1}\n"
    )
    ran = freehold("config", "check")
    assert ran.exit == Exit.OK
    noted = [line.split()[1].rstrip(":") for line in ran.out.splitlines() if line.startswith("note: ")]
    assert noted == ["budgets[0].scope", "budgets[1].scope", "budgets[2].scope", "prices.opnai/gpt-5"]
    assert "there is no provider opnai" in ran.out


def test_a_candidate_that_is_not_in_the_file_is_noted(freehold: Freehold) -> None:
    write(
        "providers: {p: {base_url: http://x, models: [a]}, any: {base_url: http://y}}\n"
        "models: {fast: [p/a, any/b, p/c, qwen]}\n"
    )
    notes = freehold("config", "check", "--json").json["notes"]
    assert [note.split(" is not in this file")[0] for note in notes] == [
        "models.fast: p/c",
        "models.fast: qwen",
    ]


def test_show_prints_what_is_in_force_and_no_secret(freehold: Freehold) -> None:
    write(
        f"auth: {{keys: [{SECRET}]}}\n"
        f"providers: {{p: {{base_url: http://x, api_key: {SECRET}, headers: {{authorization: {SECRET}}}}}}}\n"
    )
    ran = freehold("config", "show")
    assert SECRET not in ran.out
    shown = yaml.safe_load(ran.out)
    assert shown["listen"] == "127.0.0.1:8400"
    assert shown["providers"]["p"]["api_key"] == "(hidden)"
    assert shown["auth"]["keys"][0].startswith("sha256:")
    as_json = freehold("config", "show", "--json")
    assert SECRET not in as_json.out
    assert as_json.json["config"] == shown


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running8400]:
    server = Running8400()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    home = tmp_path / "home"
    home.mkdir()
    (home / RUN_FILE).write_bytes(msgspec.json.encode(Running(url=server.url, pid=7, started_ms=1)))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def plan(
    running: Running8400, dry_run: bool, *changes: Change, problems: tuple[FoundProblem, ...] = ()
) -> None:
    told = ReloadPlan(file="/f.yaml", changes=changes, problems=problems, dry_run=dry_run)
    path = f"/api/v1/config/reload?dry_run={str(dry_run).lower()}"
    running.answers[path] = (200, msgspec.json.encode(told))


RESTARTED = Change(key="servers.a", effect="restart", text="slots changed", server="a", outcome="done")


def test_a_reload_says_what_was_done(freehold: Freehold, running: Running8400) -> None:
    late = Change(key="listen", effect="restart Freehold", text="in force when Freehold is started again")
    plan(running, False, RESTARTED, late)
    ran = freehold("config", "reload")
    assert ran.exit == Exit.OK
    assert ran.out.splitlines() == [
        "servers.a: slots changed",
        "listen: in force when Freehold is started again (restart Freehold)",
    ]
    assert running.asked == ["POST /api/v1/config/reload?dry_run=false"]
    assert freehold("config", "reload", "--json").json["changes"][0]["outcome"] == "done"


def test_a_dry_run_is_asked_for_and_said_to_be_one(freehold: Freehold, running: Running8400) -> None:
    plan(running, True, replace(RESTARTED, outcome="planned"))
    ran = freehold("config", "reload", "--dry-run")
    assert ran.out.endswith("Nothing was done: this is the plan.\n")
    plan(running, True)
    assert freehold("config", "reload", "--dry-run").out == "Nothing has changed.\n"


def test_a_reload_of_a_broken_file_names_line_and_key(freehold: Freehold, running: Running8400) -> None:
    plan(running, False, problems=(FoundProblem(message="unknown key.", line=3, key="a.b", nearest="a.c"),))
    ran = freehold("config", "reload")
    assert ran.exit == Exit.CONFIG
    assert ran.out.splitlines() == [
        "/f.yaml:3: a.b: unknown key. Did you mean 'a.c'?",
        "Nothing was changed.",
    ]


def test_a_change_that_failed_ends_in_failure(freehold: Freehold, running: Running8400) -> None:
    plan(running, False, replace(RESTARTED, outcome="failed", detail="no room"))
    ran = freehold("config", "reload")
    assert ran.exit == Exit.FAILED
    assert "failed: no room" in ran.out


def test_a_reload_without_a_running_freehold_says_so(freehold: Freehold) -> None:
    assert freehold("config", "reload").exit == Exit.NOT_RUNNING


def test_files_of_servers_are_looked_for_and_names_of_models_are_not(freehold: Freehold) -> None:
    write(
        "servers:\n  a: {model: a.gguf, draft: d.gguf}\n  b: {engine: vllm, model: Qwen/Qwen3}\n"
        "  c: {command: [x, '{port}']}\nmodels: {m: {candidates: [a, zz]}}\n"
    )
    notes = freehold("config", "check", "--json").json["notes"]
    assert [note.partition(":")[0] for note in notes] == ["servers.a.model", "servers.a.draft", "models.m"]


def test_show_hides_what_a_program_is_given_in_variables(freehold: Freehold) -> None:
    write(f"servers: {{a: {{model: a.gguf, env: [HF_TOKEN, TOKEN={SECRET}]}}}}\n")
    ran = freehold("config", "show")
    assert SECRET not in ran.out
    assert yaml.safe_load(ran.out)["servers"]["a"]["env"] == ["HF_TOKEN", "TOKEN=(hidden)"]


def test_the_schema_is_printed(freehold: Freehold) -> None:
    assert freehold("config", "schema").json == config_schema()

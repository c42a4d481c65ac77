"""Stories of `freehold config`."""

from __future__ import annotations

from pathlib import Path

import yaml

from freehold.cli.exits import Exit
from freehold.core.config_schema import config_schema
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


def test_the_schema_is_printed(freehold: Freehold) -> None:
    assert freehold("config", "schema").json == config_schema()

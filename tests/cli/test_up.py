"""Stories of `freehold up` before it serves: its options, its mistakes, and what it tells while it starts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer

from freehold.cli.commands import app
from freehold.cli.exits import Exit
from freehold.cli.up_options import FLAGS, WITH_VALUE, UpOptions, quick_options
from freehold.cli.up_report import reporter
from freehold.core.progress import ModelRow, Progress, ReadyFacts, ready_progress
from tests.cli.conftest import Freehold

# -- options


def test_both_ways_to_read_the_options_know_the_same_ones() -> None:
    root = typer.main.get_command(app)
    up = root.get_command(None, "up")  # pyright: ignore
    declared = {option for parameter in up.params for option in parameter.opts} - {"--help"}
    assert declared == {*WITH_VALUE, *FLAGS}
    assert {*WITH_VALUE.values(), *FLAGS.values()} == set(UpOptions.__struct_fields__)


def test_plain_options_are_read_at_once() -> None:
    words = ["--config", "a.yaml", "--listen=127.0.0.1:0", "--no-discover", "--json"]
    assert quick_options(words) == UpOptions(
        config="a.yaml", listen="127.0.0.1:0", no_discover=True, json=True
    )
    assert quick_options([]) == UpOptions()


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["--confg", "x"], ["--config"], ["--config", "--json"], ["x"]]
)
def test_anything_unusual_is_left_to_the_full_parser(words: list[str]) -> None:
    assert quick_options(words) is None


# -- mistakes


def test_a_mistake_in_the_file_ends_it_before_it_begins(freehold: Freehold) -> None:
    Path("freehold.yaml").write_text("lisen: x\n")
    ran = freehold("up")
    assert ran.exit == Exit.CONFIG
    assert "freehold.yaml:1: lisen: unknown key. Did you mean 'listen'?" in ran.err


def test_listening_to_others_without_keys_is_refused(freehold: Freehold) -> None:
    ran = freehold("up", "--listen", "0.0.0.0:8400")
    assert ran.exit == Exit.CONFIG
    assert "freehold key new" in ran.err


def test_a_file_that_is_not_there_is_named(freehold: Freehold) -> None:
    ran = freehold("up", "--config", "absent.yaml", "--json")
    assert ran.exit == Exit.CONFIG
    assert "absent.yaml: there is no such file (named by --config)" in json.loads(ran.err)["error"]["message"]


# -- what it tells

FACTS = ReadyFacts(
    url="http://127.0.0.1:8400",
    key_needed=False,
    models=(ModelRow(name="it's", where="llama.cpp on this machine", state="ready", test_only=True),),
    home="/state",
)


def told(*steps: Progress, as_json: bool = False) -> str:
    out = io.StringIO()
    report = reporter(out, as_json=as_json)
    for step in steps:
        report(step)
    return out.getvalue()


def test_steps_are_lines_and_warnings_stand_out() -> None:
    text = told(
        Progress(stage="ledger", text="Opened."),
        Progress(stage="server", text="qwen did \x1b[31mnot start", level="warn"),
    )
    assert text == "· Opened.\n! qwen did \N{REPLACEMENT CHARACTER}[31mnot start\n"


def test_a_server_that_tells_its_state_again_is_heard_once() -> None:
    def step(state: str, text: str) -> Progress:
        return Progress(stage="server", text=text, data={"name": "qwen", "state": state})

    text = told(
        step("starting", "starting"), step("starting", "starting (llama.cpp)"), step("ready", "ready")
    )
    assert text == "· starting\n· ready\n"


def test_the_end_says_everything_needed_to_begin() -> None:
    text = told(ready_progress(FACTS))
    assert "http://127.0.0.1:8400/v1" in text
    assert "none needed on this machine" in text
    assert "no configuration file" in text
    assert "  it's   llama.cpp on this machine  ready, a test model" in text
    assert '''{"model":"it'\\''s","messages"''' in text, "the call must survive a shell"
    assert "\x1b" not in text, "no colours through a pipe"


def test_a_test_model_alone_is_called_that_and_the_way_to_a_real_one_is_told() -> None:
    assert "This is only a test model: it recites fixed texts." in told(ready_progress(FACTS))
    real = ModelRow(name="qwen", where="llama.cpp", state="ready")
    facts = ReadyFacts(url="u", key_needed=False, models=(*FACTS.models, real), home="/state")
    assert "only a test model" not in told(ready_progress(facts))


def test_without_any_model_it_says_how_to_add_one_and_shows_no_call() -> None:
    text = told(ready_progress(ReadyFacts(url="u", key_needed=False, models=(), home="/state")))
    assert "No model can be asked for yet." in text
    assert "To add a model" in text
    assert "curl" not in text


def test_a_key_that_is_needed_stands_in_the_call() -> None:
    facts = ReadyFacts(url="u", key_needed=True, models=FACTS.models, home="/state", config_file="/f.yaml")
    text = told(ready_progress(facts))
    assert '-H "authorization: Bearer $FREEHOLD_KEY"' in text
    assert "/f.yaml" in text


def test_hundreds_of_models_are_cut_short() -> None:
    models = tuple(ModelRow(name=f"m{number}", where="openai") for number in range(300))
    text = told(ready_progress(ReadyFacts(url="u", key_needed=False, models=models, home="/s")))
    assert "… and 276 more: freehold models" in text


def test_programs_get_one_json_line_per_step() -> None:
    lines = told(Progress(stage="config", text="read"), ready_progress(FACTS), as_json=True).splitlines()
    first, ready = (json.loads(line) for line in lines)
    assert first["stage"] == "config"
    assert ready["data"]["models"][0]["name"] == "it's"

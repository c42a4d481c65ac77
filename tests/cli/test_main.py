"""The program as a whole: help, mistakes, errors for people and for programs, and how fast it begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from freehold.cli.commands import COMMANDS
from freehold.cli.exits import MEANINGS, Exit
from tests.cli.conftest import Freehold


def test_help_names_every_command(freehold: Freehold) -> None:
    ran = freehold("--help")
    assert ran.exit == Exit.OK
    assert all(f" {name} " in ran.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(freehold: Freehold, name: str) -> None:
    ran = freehold(name, "--help")
    assert ran.exit == Exit.OK
    assert "Usage: freehold " + name in ran.out


def test_a_misspelt_command_is_answered_with_the_near_one(freehold: Freehold) -> None:
    ran = freehold("receits")
    assert ran.exit == Exit.USAGE
    assert "'receipts'" in ran.err
    assert ran.out == ""


def test_errors_go_to_the_second_stream_as_words_or_as_json(freehold: Freehold) -> None:
    words = freehold("status")
    assert (words.exit, words.out) == (Exit.NOT_RUNNING, "")
    assert words.err.startswith("freehold: Freehold is not running on the state folder")
    ran = freehold("status", "--json")
    assert (ran.exit, ran.out) == (Exit.NOT_RUNNING, "")
    assert '{"error":{"code":"not_running","exit":4,"message":"Freehold is not running' in ran.err


def test_every_exit_status_is_documented() -> None:
    assert set(MEANINGS) == set(Exit)


def test_the_version_is_told_in_both_ways(freehold: Freehold) -> None:
    from freehold import __version__

    assert freehold("--version").out == f"freehold {__version__}\n"
    assert freehold("version", "--json").json["freehold"] == __version__
    assert __version__ in freehold("version").out


def test_the_way_to_up_loads_nothing_that_serving_does_not_need() -> None:
    """Typer, Rich, YAML and FastAPI would cost the start 60 to 110 ms each, and their memory for ever."""
    probe = (
        "import sys; from freehold.cli.main import main; import freehold.cli.starting; "
        "heavy = {'typer', 'click', 'rich', 'yaml', 'fastapi', 'pydantic', 'freehold.app'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_completion_offers_commands_and_fields() -> None:
    def completed(words: str) -> list[str]:
        words_and_place = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            [sys.executable, "-c", "from freehold.cli.main import main; main()"],
            env={"_FREEHOLD_COMPLETE": "complete_bash", "PATH": "", **words_and_place},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    assert "receipts" in completed("freehold re")
    assert "project=" in completed("freehold receipts list pro")

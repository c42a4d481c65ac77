"""`freehold outcomes`: how answers did, and what that taught."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from freehold.cli.control_client import find_running, told_by_running
from freehold.cli.option_struct import takes
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.shadow_words import shadow_lines
from freehold.web.money import BeliefView, OutcomeIn, OutcomeView, ShadowView

app = typer.Typer(add_completion=False, invoke_without_command=True)

_PATH = "/api/v1/outcomes"


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed for programs."""

    beliefs: Sequence[BeliefView]
    shadow: ShadowView


@app.callback()
def outcomes(
    context: typer.Context, home: HomeOption = None, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Show what outcomes taught: chances by kind of task and place, and what could have been local.

    Asks the running Freehold; without one, the state folder tells.
    """
    if context.invoked_subcommand is not None:
        return
    found = _learned(chosen_home(home), url)
    if as_json:
        print_json(found)
    elif not found.beliefs and not found.shadow.tasks:
        say("No outcomes yet. Say how an answer did: freehold outcomes post RECEIPT pass|fail|0..1")
    else:
        print_table(["TASK", "=DEPLOYMENT", ">CHANCE", ">GIVE OR TAKE", ">OUTCOMES"], _rows(found.beliefs))
        for line in shadow_lines(found.shadow):
            say(line)


class PostOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `freehold outcomes post` is told."""

    receipt: Annotated[
        str, typer.Argument(metavar="RECEIPT", help="Of the call: its receipt's id, or how it begins.")
    ]
    score: Annotated[str, typer.Argument(metavar="SCORE", help="pass, fail, or 0 (useless) to 1 (good).")]
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it is kept in the ledger.")] = ""
    task: Annotated[
        str, typer.Option("--task", metavar="KIND", help="The kind of task, where the call did not say it.")
    ] = ""
    home: HomeOption = None
    url: UrlOption = None
    as_json: JsonOption = False


@app.command()
@takes(PostOptions)
def post(options: PostOptions) -> None:
    """Say how an answer did. It is recorded in the ledger, and counts when calls are placed."""
    said = OutcomeIn(
        receipt=options.receipt, score=_score(options.score), note=options.note, task=options.task
    )
    view = find_running(chosen_home(options.home), options.url).post(_PATH, OutcomeView, body=said)
    if options.as_json:
        print_json(view)
    else:
        say(
            f"{view.deployment}, {view.task or 'other'}: good answers {view.chance:.2f}, "
            f"give or take {view.deviation:.2f}. Recorded as {view.id}."
        )


def _score(text: str) -> float | Literal["pass", "fail"]:
    if text in ("pass", "fail"):
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no score: say pass, fail, or 0 to 1") from None


def _learned(home: Path, url: str | None) -> Learned:
    beliefs = told_by_running(home, url, _PATH, list[BeliefView])
    if beliefs is not None:
        shadow = find_running(home, url).get("/api/v1/shadow", ShadowView)
        return Learned(beliefs=beliefs, shadow=shadow)
    from freehold.app.outcomes import belief_views, load_beliefs  # noqa: PLC0415
    from freehold.app.shadow_tally import shadow_view  # noqa: PLC0415

    return Learned(beliefs=belief_views(load_beliefs(home)), shadow=shadow_view(home))


def _rows(beliefs: Sequence[BeliefView]) -> Iterator[tuple[str, ...]]:
    for row in beliefs:
        yield (
            row.task or "other",
            row.deployment,
            f"{row.chance:.2f}",
            f"{row.deviation:.2f}",
            f"{row.trials:.1f}",
        )

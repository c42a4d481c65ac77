"""`freehold receipts verify`: checks the whole log, and says what was and what was not proven."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from freehold.cli.exits import Exit
from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.core.errors import FreeholdError
from freehold.receipts.notes import NoteError
from freehold.receipts.verify import Report
from freehold.receipts.verify import verify as verify_log

KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="TEXT", help="The verifier key that you kept; otherwise the one in the folder."
    ),
]


def verify(
    place: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="A state folder, or a copy of its ledger folder."),
    ] = None,
    key: KeyOption = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FILE", help="A checkpoint saved earlier: was the log exchanged since?"
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the whole log from its bytes and find any edited, dropped, moved or missing entry."""
    saved = read_text(against) if against else None
    try:
        with progress("entries checked", shown=not as_json) as advance:
            report = verify_log(place or chosen_home(home), key, saved, advance)
    except NoteError as error:
        raise FreeholdError(f"this is not a verifier key: {error}") from error
    if as_json:
        print_json({"ok": report.ok, **msgspec.to_builtins(report, enc_hook=str)})
    else:
        _tell(report)
    raise typer.Exit(Exit.OK if report.ok else Exit.NOT_PROVEN)


def _tell(report: Report) -> None:
    say(f"{report.entries:,} entries in {report.folder}, checked with {report.key}")
    for title, texts in (("Proven", report.proven), ("Not proven", report.not_proven)):
        if texts:
            say(f"{title}:")
        for text in texts:
            say(f"  - {text}")
    if report.ok:
        say("No problem was found.")
        return
    say(f"{len(report.problems)} PROBLEM{'S' if len(report.problems) > 1 else ''}:")
    for problem in report.problems:
        place = f"entry {problem.index}: " if problem.index >= 0 else ""
        say(f"  - {problem.kind}: {place if place not in problem.text else ''}{problem.text}")


@contextmanager
def progress(what: str, *, shown: bool) -> Generator[Callable[[int], None]]:
    """A function that takes how many are done; on a terminal the number is shown while it grows."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn(f"{{task.completed:,.0f}} {what}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FreeholdError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error

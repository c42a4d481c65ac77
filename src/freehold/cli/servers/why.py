"""`freehold servers why NAME`: how a server died, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from freehold.cli.control_client import find_running
from freehold.cli.exits import NotRunning
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import console, print_json, say
from freehold.cli.servers.orders import NameArgument
from freehold.cli.wording import clock_time, plain
from freehold.core.deaths import Certificate
from freehold.core.quantities import duration_words
from freehold.receipts.deaths import certificates
from freehold.receipts.journal import LedgerError

_OTHERS = 100
"""Deaths that are looked at for names, where the one that was asked for has none."""


def why(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many deaths.")] = 3,
    url: UrlOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a server ended, the newest death first: cause, evidence, what to do. Works without a running
    Freehold too: the certificates stand in its ledger."""
    state = chosen_home(home)
    found = _ask(state, url, name, limit)
    if as_json:
        print_json(found)
    elif not found:
        others = _others(state, name)
        say(f"{name} has never died." + (f" The ledger has deaths of {', '.join(others)}." if others else ""))
    else:
        for number, certificate in enumerate(found):
            if number:
                print()
            _tell(certificate)


def _ask(home: Path, url: str | None, name: str, limit: int) -> list[Certificate]:
    try:
        client = find_running(home, url)
        path = f"/api/v1/servers/{quote(name, safe='')}/deaths?limit={limit}"
        return client.get(path, list[Certificate])
    except NotRunning:
        if url is not None:
            raise
    return certificates(home, name, limit)


def _others(home: Path, name: str) -> list[str]:
    try:
        return sorted({death.server for death in certificates(home, "", _OTHERS)} - {name})
    except LedgerError:  # no calls yet
        return []


def _tell(seen: Certificate) -> None:
    lived = duration_words(max(0, seen.died_ms - seen.started_ms) / 1000) if seen.started_ms else ""
    after = f", {lived} after its start" if lived else ""
    when = "" if seen.ready else ", before it was ready"
    out = console()
    out.print(f"{plain(seen.sentence)}", style="bold", soft_wrap=True)
    say(f"  when      {clock_time(seen.died_ms)}{after}{when}")
    say(f"  cause     {seen.cause}, {_sure(seen.confidence)}")
    for number, clue in enumerate(seen.evidence):
        say(f"  {'evidence' if not number else '        '}  {clue.source}: {clue.text}")
    if seen.others:
        say(f"  or else   {', '.join(seen.others)}")
    if seen.in_flight:
        say(f"  calls     {len(seen.in_flight)} under way when it died")
    say(f"  next      {seen.next}")
    if seen.proof:
        say(f"  proof     {seen.proof}")


def _sure(confidence: int) -> str:
    if confidence >= 90:
        return f"proven ({confidence} %)"
    return f"{'likely' if confidence >= 60 else 'a guess'} ({confidence} %)"

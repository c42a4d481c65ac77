"""`freehold servers why NAME`: how a server died, and what to do."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import console, print_json, say
from freehold.cli.servers.orders import NameArgument
from freehold.cli.wording import clock_time, plain
from freehold.core.deaths import Certificate
from freehold.core.quantities import duration_words


def why(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many deaths.")] = 3,
    url: UrlOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a server ended, the newest death first: cause, evidence, what to do."""
    client = find_running(chosen_home(home), url)
    path = f"/api/v1/servers/{quote(name, safe='')}/deaths?limit={limit}"
    found = client.get(path, list[Certificate])
    if as_json:
        print_json(found)
    elif not found:
        say(f"{name} has never died.")
    else:
        for number, certificate in enumerate(found):
            if number:
                print()
            _tell(certificate)


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

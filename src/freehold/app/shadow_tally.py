"""What shadow evaluation found: counted from the ledger's outcomes, kept between starts, shown.

The ledger is the truth; `home/routing/shadow.json` only saves reading all of it, and is made from it when it
is missing or cannot be read.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freehold.app.whole_file import replace_file
from freehold.core.config_routing import Tier
from freehold.receipts.journal import LedgerError
from freehold.receipts.outcomes import PPM, Said, outcomes
from freehold.routing.shadow import AGENT, ShadowTally, Tallies, counted
from freehold.web.money import ShadowPlace, ShadowTask, ShadowView

FILE = Path("routing") / "shadow.json"
_NOTE = re.compile(r"^shadow \((local|balanced|premium)\)")


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """`entries`: so many entries of the ledger are counted in."""

    v: int = 1
    entries: int = 0
    tallies: dict[str, dict[str, ShadowTally]] = {}


def note_of(tier: Tier, receipt: str, why: str) -> str:
    """What stands in the ledger beside a comparison's score."""
    return f"shadow ({tier}) of {receipt}" + (f": {why}" if why else "")


def load_tallies(home: Path) -> Tallies:
    """From the file, and what the ledger has since. Without a ledger there are none. Blocking."""
    try:
        kept = msgspec.json.decode((home / FILE).read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        kept = _File()
    if kept.v != 1:
        kept = _File()
    tallies: Tallies = kept.tallies
    with contextlib.suppress(LedgerError):  # none yet; a damaged one is told by those who own it
        for said in outcomes(home, kept.entries):
            tier = _tier_of(said)
            if tier is not None:
                tallies = counted(tallies, said.task, said.deployment, tier, said.score_ppm / PPM)
    return tallies


def save_tallies(home: Path, tallies: Tallies, entries: int) -> None:
    """`entries` of the ledger are counted in. Blocking. Raises OSError."""
    data = _File(entries=entries, tallies={task: dict(row) for task, row in tallies.items()})
    replace_file(home / FILE, msgspec.json.encode(data))


def shadow_view(home: Path) -> ShadowView:
    """What was found, where no Freehold runs that could be asked. Reads files."""
    return ShadowView(at_work=False, tasks=tuple(task_views(load_tallies(home))))


def task_views(tallies: Tallies) -> Iterator[ShadowTask]:
    """By kind of task, the most compared first. Answers by local places are what counts for the task."""
    rows = sorted(tallies.items(), key=lambda row: -sum(one.compared for one in row[1].values()))
    for task, row in rows:
        local = [one for one in row.values() if one.tier == "local"]
        yield ShadowTask(
            task=task,
            compared=sum(one.compared for one in local),
            good=sum(one.good for one in local),
            places=tuple(
                ShadowPlace(deployment=name, tier=one.tier, compared=one.compared, good=one.good)
                for name, one in sorted(row.items(), key=lambda pair: -pair[1].compared)
            ),
        )


def _tier_of(said: Said) -> Tier | None:
    """Of the place that was compared; None when this is no comparison of ours."""
    found = _NOTE.match(said.note) if said.agent == AGENT else None
    return None if found is None else msgspec.convert(found[1], Tier)

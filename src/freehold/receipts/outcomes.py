"""How an answer did, as entries of the ledger: made here, read back here.

An entry of kind `outcome` points to a call's receipt and says, in `detail`, how good its answer was and who
says so. It stands in the table `calls` like every entry, but is no call and costs nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.snapshot import entries_from, snapshot

OUTCOME = "outcome"
PPM = 1_000_000
_LONGEST_NOTE = 500


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of an answer. `score_ppm` is 0 (useless) to 1,000,000 (good)."""

    of: str
    """The receipt of the call."""
    score_ppm: int
    source: str
    """`person`, `validator`, `judge`, `retry`, `escalation`."""
    task: str = ""
    """The kind of task that it counts for."""
    deployment: str = ""
    """Whose answer it was."""
    note: str = ""
    agent: str = ""
    project: str = ""
    session: str = ""


class _Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields in alphabetical order, so that the text is canonical."""

    note: str = ""
    of: str
    score_ppm: int
    source: str


def outcome_receipt(said: Said, receipt_id: str, now_ms: int) -> Receipt:
    """The entry that tells how an answer did."""
    note = said.note.encode("utf-8", "replace").decode()[:_LONGEST_NOTE]
    detail = _Detail(note=note, of=said.of, score_ppm=min(PPM, max(0, said.score_ppm)), source=said.source)
    return Receipt(
        id=receipt_id,
        kind=OUTCOME,
        agent=said.agent,
        project=said.project,
        session=said.session,
        task=said.task,
        deployment=said.deployment,
        detail=msgspec.json.encode(detail).decode(),
        outcome="ok",
        cost_state="free",
        started_ms=now_ms,
    )


def outcome_of(receipt: Receipt) -> Said | None:
    """What an entry of kind `outcome` says; None for all others, and when its detail cannot be read."""
    if receipt.kind != OUTCOME:
        return None
    try:
        detail = msgspec.json.decode(receipt.detail, type=_Detail)
    except msgspec.MsgspecError:
        return None
    return Said(
        of=detail.of,
        score_ppm=detail.score_ppm,
        source=detail.source,
        note=detail.note,
        task=receipt.task,
        deployment=receipt.deployment,
        agent=receipt.agent,
        project=receipt.project,
        session=receipt.session,
    )


def outcomes(home: Path, since_index: int = 0) -> Iterator[Said]:
    """All outcomes from log index `since_index` on, oldest first, also those not projected yet.

    Reads files: not for the hot path. Raises LedgerError when the log is damaged.
    """
    rows: list[int] = []
    position = 0
    try:
        with snapshot(home) as (db, position):
            if db is not None:
                found = db.execute(
                    "SELECT seq FROM calls WHERE seq >= ? AND kind = 'outcome' ORDER BY seq", (since_index,)
                )
                rows = [index for (index,) in found]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # damaged further on; the log has everything
        position = 0
    folder = LogFolder(home / "ledger")
    for index in rows:
        with LogReader(folder, index) as reader:
            yield from _read(reader.read(1))
    yield from _read(entry for _, entry in entries_from(home, max(position, since_index)))


def _read(entries: Iterable[bytes]) -> Iterator[Said]:
    mark = b'"kind":"outcome"'
    for entry in entries:
        if mark in entry and (said := outcome_of(decode_receipt(entry))) is not None:
            yield said

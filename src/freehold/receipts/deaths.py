"""Death certificates as entries of the ledger: made here, read back here.

An entry of kind `death` carries the whole certificate as canonical JSON in `detail` and its sentence in
`error`. It stands in the table `calls` like every entry, but is no call: rollups and costs leave it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from freehold.core.deaths import Certificate, Clue
from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.query import Filter, list_receipts, receipts_now
from freehold.receipts.snapshot import entries_from

DEATH = "death"
LARGEST_DETAIL = 48 * 1024
"""Bytes of the certificate as it stands in the entry: JSON within JSON, its quotes escaped."""
_LONGEST_TEXT = 1_000
_MOST_ITEMS = 200


def death_receipt(certificate: Certificate, receipt_id: str, now_ms: int) -> Receipt:
    """The entry that tells of a death. Lists that are too long for an entry are cut, and say so.

    An end that we ordered has the outcome `ok`. `now_ms` stands in for a time of death that nobody knows.
    """
    detail = _detail(certificate)
    return Receipt(
        id=receipt_id,
        kind=DEATH,
        server=certificate.server,
        error=_clean(certificate.sentence),
        detail=detail,
        outcome="ok" if certificate.ordered else "error",
        cost_state="free",
        started_ms=certificate.died_ms or now_ms,
    )


def certificate_of(receipt: Receipt) -> Certificate:
    """The certificate in an entry of kind `death`; where its detail cannot be read, what else it says."""
    try:
        return msgspec.json.decode(receipt.detail, type=Certificate)
    except msgspec.MsgspecError:
        return Certificate(
            server=receipt.server,
            died_ms=receipt.started_ms,
            cause="unknown",
            confidence=0,
            sentence=receipt.error,
            next="Its detail cannot be read: `freehold receipts verify` tells whether it was changed.",
        )


def certificates(home: Path, server: str = "", limit: int = 20) -> list[Certificate]:
    """The newest deaths of a server (empty: of all), newest first, at most `limit`.

    Also those that the projection does not have yet. Reads files: not for the hot path. Raises LedgerError
    when there is no ledger, or when it is damaged there.
    """
    with receipts_now(home) as (db, position):
        rows = list_receipts(db, Filter(kind=DEATH, server=server, limit=limit)) if db is not None else []
    found = [receipt for receipt in _after(home, position) if server in ("", receipt.server)]
    found.reverse()
    folder = LogFolder(home / "ledger")
    for row in rows[: max(limit - len(found), 0)]:
        with LogReader(folder, row.seq) as reader:
            found += [decode_receipt(entry) for entry in reader.read(1)]
    return [certificate_of(receipt) for receipt in found[:limit]]


def _after(home: Path, position: int) -> list[Receipt]:
    """Deaths among the entries that are not projected yet, oldest first."""
    mark = f'"kind":"{DEATH}"'.encode()
    found = [decode_receipt(entry) for _, entry in entries_from(home, position) if mark in entry]
    return [receipt for receipt in found if receipt.kind == DEATH]


def _detail(certificate: Certificate) -> str:
    """Canonical JSON (keys sorted, integers only), cut to fit."""
    whole = _tidy(msgspec.to_builtins(certificate))
    evidence: list[Any] = whole.get("evidence", [])
    dropped = len(certificate.evidence) - len(evidence)
    while True:
        if dropped:
            note = Clue(source="note", text=f"{dropped} more pieces of evidence did not fit")
            whole["evidence"] = [*evidence, msgspec.to_builtins(note)]
        text = msgspec.json.encode(whole, order="sorted").decode()
        if len(msgspec.json.encode(text)) <= LARGEST_DETAIL:
            return text
        if not evidence:
            whole["in_flight"] = whole.get("in_flight", [])[: len(whole.get("in_flight", [])) // 2]
            whole["others"] = whole.get("others", [])[:5]
        cut = max(len(evidence) // 4, 1) if evidence else 0
        dropped += cut
        evidence = evidence[: len(evidence) - cut]


def _tidy(value: Any) -> Any:
    """Valid Unicode, bounded texts and lists, integers for floats."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, float):
        return round(value)
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_tidy(item) for item in value[:_MOST_ITEMS]]  # pyright: ignore[reportUnknownVariableType]
    return value


def _clean(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= _LONGEST_TEXT else clean[:_LONGEST_TEXT] + " [cut]"

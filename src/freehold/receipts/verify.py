"""Checking a whole log, offline or beside a running Freehold: what is proven, what is not, what is wrong.

Everything is recomputed from bytes: leaf hashes from entries, tiles from leaves, the root from tiles. That
is compared with the signed checkpoint, its signature with the public key, the journal and the SQLite
projection with the log. A checkpoint saved earlier (from a digest mail, a backup) shows whether the log was
exchanged as a whole since then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.receipts.differences import Kind, Problem
from freehold.receipts.entries import decode_receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.keys import read_verifier
from freehold.receipts.log_folder import LogFolder
from freehold.receipts.merkle import EMPTY_ROOT
from freehold.receipts.notes import Checkpoint, NoteError, Verifier, open_checkpoint, parse_checkpoint
from freehold.receipts.projection import DATABASE
from freehold.receipts.query import open_readonly
from freehold.receipts.verify_log import JournalAudit, TreeAudit, blocks
from freehold.receipts.verify_projection import ProjectionAudit

_NEVER_PROVEN = (
    "what was in requests and answers: only their salted commitments are in the log",
    "that models, providers and clients told the truth: the log proves what Freehold recorded",
)


@dataclass(frozen=True)
class Report:
    """The result of `verify`. `ok` means: no problem found; read `not_proven` for what that leaves open."""

    folder: Path
    key: str
    """The verifier key that was used."""
    entries: int
    covered: int
    """Entries under the newest valid checkpoint."""
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


class _Ids:
    """Finds receipts that stand twice in the log, and entries that are no receipts. Memory: one id each."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self.problems: list[Problem] = []

    def take(self, first: int, entries: Sequence[bytes]) -> None:
        for index, entry in enumerate(entries, first):
            try:
                name = decode_receipt(entry).id
            except msgspec.MsgspecError as cause:
                self.problems.append(Problem("unreadable", index, f"entry {index} is not a receipt: {cause}"))
                continue
            earlier = self._seen.setdefault(name, index)
            if earlier != index:
                text = f"receipt {name} stands in the log twice: entries {earlier} and {index}"
                self.problems.append(Problem("duplicate_id", index, text))


def verify(
    place: Path,
    public_key: str | None = None,
    against: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check the log of a home folder, or a bare ledger folder (a copy of `<home>/ledger`).

    `public_key` is the verifier key that you kept; without it the one beside the log is used, which proves
    less. `against` is the text of a checkpoint saved earlier. `progress` gets the entries checked so far.
    Raises LedgerError when there is no log at all, KeyFileError when there is no key to check with.
    """
    folder = _ledger_folder(place)
    verifier = Verifier.parse(public_key) if public_key else read_verifier(folder.path.parent)
    with ExitStack() as stack:
        audit = _Audit(folder, verifier, public_key is not None)
        if (folder.path.parent / DATABASE).is_file():
            audit.projection = ProjectionAudit(stack.enter_context(open_readonly(folder.path.parent)))
        audit.checkpoint(against)
        audit.log(progress)
        return audit.report()


def _ledger_folder(place: Path) -> LogFolder:
    for path in (place / "ledger", place):
        if (path / "journal").is_dir() or (path / "checkpoint").is_file():
            return LogFolder(path)
    raise LedgerError(
        f"there is no ledger in {place}: pass Freehold's home folder, or a copy of its `ledger`"
    )


class _Audit:
    """Collects one report."""

    def __init__(self, folder: LogFolder, verifier: Verifier, key_was_given: bool) -> None:
        self._folder = folder
        self._verifier = verifier
        self._key_was_given = key_was_given
        self._head = Checkpoint(verifier.name, 0, EMPTY_ROOT)
        self._signed = False
        self._old: Checkpoint | None = None
        self._entries = 0
        self.projection: ProjectionAudit | None = None
        self._proven: list[str] = []
        self._not_proven: list[str] = []
        self._problems: list[Problem] = []

    def checkpoint(self, against: str | None) -> None:
        """Read the newest checkpoint, and the saved one."""
        note = self._folder.checkpoint_note()
        if note is None:
            if (self._folder.path / "tile").is_dir():
                self._problem("checkpoint", "tiles are there, but the checkpoint is missing")
        else:
            try:
                self._head = open_checkpoint(note, self._verifier)
                self._signed = True
            except NoteError as cause:
                self._problem("signature", f"the checkpoint is not signed by {self._verifier.name}: {cause}")
                self._head = _unsigned(note) or self._head
        if against is None:
            return
        try:
            self._old = open_checkpoint(against, self._verifier)
        except NoteError as cause:
            self._problem("checkpoint", f"the saved checkpoint cannot be used: {cause}")
            return
        if self._old.size > self._head.size:
            text = (
                f"the saved checkpoint covers {self._old.size} entries, the log's own only {self._head.size}"
            )
            self._problems.append(Problem("truncated", self._head.size, text))

    def log(self, progress: Callable[[int], None]) -> None:
        """Walk over all entries once."""
        ids = _Ids()
        tree = TreeAudit(self._folder, self._old.size if self._old else -1)
        for block in blocks(self._folder, self._head.size):
            tree.take(block)
            self._take(ids, block.first, block.entries)
            progress(block.first + len(block.entries))
        problems = tree.finish(self._head)
        journal = JournalAudit(
            self._folder,
            self._head.size,
            expected=lambda start, stop: tree.expected(start, stop, self._head),
            tail=lambda first, entries: self._take(ids, first, entries),
        )
        journal.run()
        self._entries = max(journal.end, self._head.size)
        self._state_tree(tree, problems, journal)
        self._problems += problems + journal.problems + ids.problems
        self._state_projection(journal.end)

    def _take(self, ids: _Ids, first: int, entries: Sequence[bytes]) -> None:
        ids.take(first, entries)
        if self.projection:
            self.projection.take(first, entries)

    def _state_tree(self, tree: TreeAudit, problems: list[Problem], journal: JournalAudit) -> None:
        size = self._head.size
        if size and not problems:
            self._proven.append(
                f"{size} entries lead to the checkpoint's root: none edited, dropped or moved"
            )
        if self._signed:
            key = "the key you gave" if self._key_was_given else "the key that lies beside the log"
            self._proven.append(
                f"the checkpoint over {size} entries is signed by {self._verifier.name} ({key})"
            )
        if self._old and self._old.size <= size:
            if self._old.size == 0 or tree.old_root(self._head) == self._old.root:
                self._proven.append(f"the log continues the saved checkpoint of {self._old.size} entries")
            else:
                text = f"the first {self._old.size} entries are not those of the saved checkpoint"
                self._problems.append(Problem("checkpoint", -1, text))
        late = journal.end - size
        if late > 0:
            self._not_proven.append(f"the newest {late} entries: no checkpoint covers them yet")
        if journal.torn_bytes:
            self._not_proven.append(
                f"an unfinished entry at the end ({journal.torn_bytes} bytes): never valid"
            )

    def _state_projection(self, entries: int) -> None:
        if self.projection is None:
            self._not_proven.append("the database: there is none beside this log")
            return
        problems = self.projection.finish(entries)
        position = self.projection.position
        self._problems += problems
        if not problems:
            self._proven.append(f"the database agrees with the log in {position} entries, and with its sums")

    def report(self) -> Report:
        """Everything found, in log order."""
        if not self._key_was_given:
            self._not_proven.append("that the key is yours: compare it with the one you keep elsewhere")
        if self._old is None:
            self._not_proven.append("that the whole log was not exchanged: needs a checkpoint saved earlier")
        return Report(
            folder=self._folder.path,
            key=self._verifier.text,
            entries=self._entries,
            covered=self._head.size if self._signed else 0,
            proven=tuple(self._proven),
            not_proven=(*self._not_proven, *_NEVER_PROVEN),
            problems=tuple(sorted(self._problems, key=lambda problem: problem.index)),
        )

    def _problem(self, kind: Kind, text: str) -> None:
        self._problems.append(Problem(kind, -1, text))


def _unsigned(note: str) -> Checkpoint | None:
    """The head that an unsigned or badly signed note claims, for locating differences."""
    try:
        return parse_checkpoint(note)
    except NoteError:
        return None

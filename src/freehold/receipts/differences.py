"""What happened to a sequence of entries, told from leaf hashes: edited, dropped, ... Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

Kind = Literal[
    "edited", "dropped", "inserted", "reordered", "truncated", "duplicate_id", "signature", "root",
    "tile", "checkpoint", "journal", "projection", "unreadable",
]  # fmt: skip

_LONGEST_DIFF = 4_096


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `index` is the log index where it is, -1 when it concerns the whole log."""

    kind: Kind
    index: int
    text: str


def differences(
    expected: Sequence[bytes], found: Sequence[bytes], first: int, where: str, *, open_end: bool = False
) -> list[Problem]:
    """How `found` departs from the `expected` leaf hashes of log indexes `first`, `first` + 1, ...

    `open_end`: what `found` has beyond the end of `expected` is no problem, nothing vouches for it yet.
    """
    expected, found = list(expected), list(found)
    if (found[: len(expected)] if open_end else found) == expected:
        return []
    if len(found) < len(expected) and found == expected[: len(found)]:
        missing = len(expected) - len(found)
        return [Problem("truncated", first + len(found), f"{where} ends here, {missing} entries are missing")]
    start = _common(expected, found)
    end = 0 if open_end else _common(expected[:start:-1], found[:start:-1])
    old, new = expected[start : len(expected) - end], found[start : len(found) - end]
    if open_end and not set(new[len(old) :]) & set(old):
        new = new[: len(old)]
    if len(old) == len(new) and Counter(old) == Counter(new):
        return [_reordered(index, where) for index in _unequal(old, new, first + start)]
    if len(old) > _LONGEST_DIFF:
        return [_edited(first + start, f"{where} (and further ones after it)")]
    return _from_diff(old, new, _Place(first + start, where, open_end))


class _Place(NamedTuple):
    """Where a diff is made."""

    first: int
    where: str
    open_end: bool

    def dropped(self, index: int) -> Problem:
        return Problem("dropped", index, f"entry {index} is missing from {self.where}")

    def inserted(self, index: int) -> Problem:
        return Problem("inserted", index, f"{self.where} has an unsigned entry before entry {index}")


def _from_diff(old: Sequence[bytes], new: Sequence[bytes], place: _Place) -> list[Problem]:
    problems: list[Problem] = []
    known, present = set(old), set(new)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        gone, came = old[old_start:old_end], new[new_start:new_end]
        for index, (mine, yours) in enumerate(zip(gone, came, strict=False), place.first + old_start):
            moved = mine in present or yours in known
            problems.append(_reordered(index, place.where) if moved else _edited(index, place.where))
        for index, mine in enumerate(gone[len(came) :], place.first + old_start + len(came)):
            problems.append(_reordered(index, place.where) if mine in present else place.dropped(index))
        beyond = place.open_end and old_end == len(old)
        surplus = [] if beyond else [yours for yours in came[len(gone) :] if yours not in known]
        problems.extend(place.inserted(place.first + old_end) for _ in surplus)
    return problems


def _common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    count = 0
    for mine, yours in zip(left, right, strict=False):
        if mine != yours:
            break
        count += 1
    return count


def _unequal(old: Sequence[bytes], new: Sequence[bytes], first: int) -> list[int]:
    return [first + at for at, (mine, yours) in enumerate(zip(old, new, strict=True)) if mine != yours]


def _edited(index: int, where: str) -> Problem:
    return Problem("edited", index, f"entry {index} in {where} is not the one that was signed")


def _reordered(index: int, where: str) -> Problem:
    return Problem("reordered", index, f"entry {index} in {where} stands at another place than it was signed")

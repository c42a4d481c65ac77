"""Outcome data on disk, as values. The form is described in the README beside the data."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from benchmarks.router.prices import cost_usd

_LONGEST_FIELD = 1 << 28
"""Characters of an answer."""


@dataclass(frozen=True)
class Outcome:
    """One model's answer to one prompt, graded."""

    quality: float
    usd: float
    """As measured, else list price or size times tokens (`prices`)."""
    out_tokens: float | None
    answer: str | None = None


@dataclass
class Prompts:
    """One set: prompts in file order, and per model the outcomes by prompt id."""

    name: str
    ids: list[str]
    texts: list[str]
    tasks: list[str]
    extra: list[dict[str, str]]
    models: dict[str, dict[str, Outcome]] = field(default_factory=dict)

    @property
    def has_answers(self) -> bool:
        return any(o.answer is not None for outcomes in self.models.values() for o in outcomes.values())


def read_sets(folder: Path) -> dict[str, Prompts]:
    """Every set of the folder: its subfolders, or the folder itself."""
    folders = [folder] if (folder / "prompts.jsonl.gz").exists() else sorted(folder.iterdir())
    found = [read_set(one) for one in folders if (one / "prompts.jsonl.gz").exists()]
    return {one.name: one for one in found}


def read_set(folder: Path) -> Prompts:
    """One set. Raises OSError or ValueError when the files are not what the README says."""
    prompts = Prompts(folder.name, [], [], [], [])
    with gzip.open(folder / "prompts.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            prompts.ids.append(str(row["id"]))
            prompts.texts.append(str(row["prompt"]))
            prompts.tasks.append(str(row.get("task") or ""))
            prompts.extra.append({k: str(v) for k, v in row.items() if k not in {"id", "prompt", "task"}})
    known = {one: len(text) / 4 for one, text in zip(prompts.ids, prompts.texts, strict=True)}
    answers = {(r["id"], r["model"]): r.get("answer") for r in _rows(folder / "answers.csv.gz")}
    rows = [(r, quality) for r in _rows(folder / "outcomes.csv.gz") if (quality := _quality(r)) is not None]
    paid = any(_number(row, "cost_usd") for row, _ in rows)
    for row, quality in rows:
        one, model = row["id"], row["model"]
        if one not in known:
            continue
        tokens = _number(row, "in_tokens") or known[one], _number(row, "out_tokens") or None
        usd = _number(row, "cost_usd") if paid else None
        if usd is None:
            usd = cost_usd(model, tokens[0], tokens[1])
        outcome = Outcome(quality, usd, tokens[1], answers.get((one, model)))
        prompts.models.setdefault(model, {})[one] = outcome
    return prompts


def _quality(row: dict[str, str]) -> float | None:
    """0..1, `true` and `false` as well; None where the answer was not graded."""
    word = (row.get("quality") or "").strip().lower()
    found = {"true": 1.0, "false": 0.0}.get(word, _number(row, "quality"))
    return None if found is None else min(max(found, 0.0), 1.0)


def _number(row: dict[str, str], column: str) -> float | None:
    """None where the column is missing, empty or no number."""
    try:
        found = float(row.get(column) or "nan")
    except ValueError:
        return None
    return found if isfinite(found) else None


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    csv.field_size_limit(_LONGEST_FIELD)
    with gzip.open(path, "rb") as raw:
        return list(csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8-sig")))

"""What the shipped classifier learns from: prompts with the kind of task that they are.

Made-up prompts (`phrases`), and prompts of the outcome data whose source says what they are. Labels that were
derived from outcomes (the clusters of llmrouter-local9) are no kinds of tasks and are never used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from benchmarks.router.phrases import made, phrases
from benchmarks.router.sets import Prompts
from freehold.routing.learn.features import KINDS

MADE_PER_KIND = 900
CUED_PER_KIND = 500
MOST_FOUND_PER_KIND = 500

_CATEGORIES = {
    "question": "factual-qa definition explanation comparison edge-short",
    "chat": "greeting edge-noise",
    "code": "simple-code complex-code debugging testing code-snippet-qa",
    "review": "code-review security-analysis",
    "maths": "formal-proof math-derivation algorithm-proof math-word-problem",
    "reason": "formal-logic logic-puzzle game-theory",
    "summarise": "summary",
    "translate": "translation",
    "rewrite": "rewrite",
    "extract": "extraction",
    "classify": "classification",
    "strategy": "system-design architecture migration infrastructure ml-pipeline performance",
    "write": "brainstorming creative documentation",
    "data": "data-analysis structured-output",
    "tool": "agentic-task",
}
CATEGORY = {name: kind for kind, names in _CATEGORIES.items() for name in names.split()}


def found_kind(one: Prompts, place: int) -> str | None:
    """What the source says that a prompt is, or None when it does not say."""
    if one.name == "coldstart-tiers":
        return CATEGORY.get(one.extra[place].get("category", ""))
    task = one.tasks[place].lower()
    if task.startswith("cluster"):
        return None
    if "math" in task or "algebra" in task or task.startswith("gsm"):
        return "maths"
    if "crux" in task:
        return "code"
    if "logic" in task:
        return "reason"
    if task.startswith("mmlu"):
        return "question"
    return None


def labelled(
    sets: Sequence[Prompts], patterns: Mapping[str, Sequence[str]], seed: int
) -> tuple[list[str], list[int]]:
    """(prompts, number of the kind). `patterns`: the made-up ones to use, by kind."""
    chance = Random(seed)
    material = [text for one in sets for text in one.texts if len(text) > 120]
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for one in sets:
        for place, text in enumerate(one.texts):
            kind = found_kind(one, place)
            if kind is not None:
                found[kind].append(text)
    prompts: list[str] = []
    kinds: list[int] = []
    for number, kind in enumerate(KINDS):
        chance.shuffle(found[kind])
        mine = [made(kind, patterns[kind], chance, material) for _ in range(MADE_PER_KIND)]
        mine += [_cued(kind, chance, material) for _ in range(CUED_PER_KIND)]
        mine += found[kind][:MOST_FOUND_PER_KIND]
        prompts += mine
        kinds += [number] * len(mine)
    return prompts, kinds


def parted_patterns(share: float, seed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Patterns to learn from and patterns kept back, so that what is measured was never seen."""
    learn: dict[str, list[str]] = {}
    kept: dict[str, list[str]] = {}
    for kind, patterns in phrases()["patterns"].items():
        mixed = list(patterns)
        Random(seed).shuffle(mixed)
        cut = max(3, int(len(mixed) * share))
        kept[kind], learn[kind] = mixed[:cut], mixed[cut:]
    return learn, kept


def _cued(kind: str, chance: Random, material: Sequence[str]) -> str:
    """One or two words that tell the kind, beside words that tell nothing."""
    cues: list[str] = phrases()["cues"][kind]
    own = " ".join(chance.sample(cues, chance.choice((1, 1, 2))))
    words = chance.choice(material).split()
    start = chance.randrange(max(1, len(words) - 8))
    other = " ".join(
        chance.sample(words, min(len(words), 4)) if chance.random() < 0.5 else words[start : start + 8]
    )
    return chance.choice((f"{own} {other}", f"{other} {own}", own))

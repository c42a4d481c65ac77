"""Makes `router.bin`: what the product knows about prompts and models before it has seen an outcome.

`scripts/train_router FOLDER` trains on outcome data of the form of its README; takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.router import material, priors, tables
from benchmarks.router.phrases import made, phrases
from benchmarks.router.seen import mark
from benchmarks.router.sets import Prompts, read_sets
from freehold.routing.learn.features import KINDS, Reader, Reading
from freehold.routing.learn.shipped import pack

OUT = Path(__file__).parents[2] / "src/freehold/routing/data/router.bin"


def train_reading(sets: Sequence[Prompts], patterns: Mapping[str, Sequence[str]]) -> Reading:
    """Directions from all prompts, leanings from the labelled ones."""
    prompts, kinds = material.labelled(sets, patterns, seed=0)
    everything = tables.documents([*(text for one in sets for text in one.texts), *prompts[::4]])
    weight = tables.rarity(everything)
    framed = tables.documents(prompts, framed=True)
    return tables.reading(
        weight,
        tables.directions(everything, weight, tables.DIRECTIONS),
        tables.learn_kinds(framed, np.array(kinds), weight),
    )


def kept_back_share(reading: Reading, kept: Mapping[str, Sequence[str]], sets: Sequence[Prompts]) -> float:
    """Share of prompts from patterns that were never seen whose kind is guessed right."""
    reader, chance = Reader(reading), Random(5)
    texts = [text for one in sets for text in one.texts if len(text) > 120]
    right = [reader.classify(made(k, kept[k], chance, texts)).kind == k for k in KINDS for _ in range(60)]
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument(
        "--without", action="append", default=[], help="leave this set out (to measure on it)"
    )
    parser.add_argument(
        "--check", action="store_true", help="keep back a quarter of the patterns, and measure"
    )
    options = parser.parse_args()
    sets = [one for name, one in read_sets(options.folder).items() if name not in options.without]
    learn, kept = material.parted_patterns(0.25, 1) if options.check else (phrases()["patterns"], {})
    reading = train_reading(sets, learn)
    if kept:
        print(
            f"kinds of prompts kept back: {kept_back_share(reading, kept, sets):.3f} right", file=sys.stderr
        )
    reader = Reader(reading)
    judged = [one for one in sets if one.models]
    features = {one.name: [reader.features_of(text) for text in one.texts] for one in judged}
    outcomes = priors.gather(judged, features, priors.abilities(judged))
    data = pack(reading, priors.train(outcomes))
    options.out.write_bytes(data)
    if options.out == OUT:
        mark(text for one in sets for text in one.texts)
    print(f"{options.out.name}: {len(data):,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

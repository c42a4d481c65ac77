"""Which prompts the shipped files were trained on, so that nothing is measured on what it was taught.

A set most of whose prompts were trained on is measured with expectations that were made without it, from the
other sets at hand. (The word table stays: it was made from prompts alone, without their outcomes.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.router import priors
from benchmarks.router.sets import Prompts
from freehold.routing.learn import shipped
from freehold.routing.learn.estimator import Prior

SEEN = Path(__file__).with_name("seen.bin")


def mark(texts: Iterable[str]) -> None:
    """Write down what was trained on."""
    marks = sorted({crc32(text.encode("utf-8", "replace")) for text in texts})
    SEEN.write_bytes(np.array(marks, "<u4").tobytes())


def seen_share(texts: Sequence[str]) -> float:
    """Share of the prompts that the shipped files were trained on."""
    known = set(np.frombuffer(SEEN.read_bytes(), "<u4").tolist()) if SEEN.exists() else set[int]()
    return sum(crc32(text.encode("utf-8", "replace")) in known for text in texts) / max(len(texts), 1)


def fair_prior(one: Prompts, others: Sequence[Prompts]) -> tuple[Prior, str]:
    """(expectations, what they are): what is shipped, or made without this set when that has seen it."""
    if seen_share(one.texts) < 0.2:
        return shipped.prior(), "shipped"
    used = [other for other in others if other.name != one.name and other.models]
    if not used:
        return shipped.prior(), "shipped, which was trained on these prompts"
    features = {other.name: [shipped.features_of(text) for text in other.texts] for other in used}
    return priors.train(priors.gather(used, features, priors.abilities(used))), "made without this set"

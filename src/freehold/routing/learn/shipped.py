"""What is shipped to read prompts and to judge deployments that nobody has tried, unpacked once.

`router.bin` is made by `scripts/train_router`; it holds word tables, a forest and expectations, no prompts.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zlib import compress, decompress

import msgspec

from freehold.routing.learn.estimator import Estimator, Prior
from freehold.routing.learn.features import Features, Reader, Reading, TaskGuess
from freehold.routing.learn.forest import PackedForest, floats, to_bytes
from freehold.routing.learn.forest import pack as pack_forest
from freehold.routing.learn.forest import unpack as unpack_forest


class _Shipped(msgspec.Struct, frozen=True):
    reading: Reading
    forest: PackedForest
    bases: bytes
    slopes: bytes


def pack(reading: Reading, prior: Prior) -> bytes:
    """The contents of `router.bin`."""
    shipped = _Shipped(
        reading, pack_forest(prior.forest), to_bytes("f", prior.bases), to_bytes("f", prior.slopes)
    )
    return compress(msgspec.msgpack.encode(shipped), 9)


def unpack(data: bytes) -> tuple[Reading, Prior]:
    """Raises zlib.error or msgspec.DecodeError when the bytes are not what `pack` made."""
    shipped = msgspec.msgpack.decode(decompress(data), type=_Shipped)
    found = Prior(unpack_forest(shipped.forest), list(floats(shipped.bases)), list(floats(shipped.slopes)))
    return shipped.reading, found


def reader() -> Reader:
    """The one reader of prompts."""
    return _loaded()[0]


def prior() -> Prior:
    return _loaded()[1]


def estimator() -> Estimator:
    """A new estimator that has seen no outcome here yet."""
    return Estimator(prior())


def features_of(prompt: str, task: str = "") -> Features:
    """`Reader.features_of` with what is shipped."""
    return reader().features_of(prompt, task)


def classify(prompt: str) -> TaskGuess:
    """`Reader.classify` with what is shipped."""
    return reader().classify(prompt)


@cache
def _loaded() -> tuple[Reader, Prior]:
    reading, found = unpack((files("freehold.routing.data") / "router.bin").read_bytes())
    return Reader(reading), found

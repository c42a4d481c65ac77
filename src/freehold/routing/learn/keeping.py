"""What an estimator has learned, as bytes that outlive the process. No prompts: only their numbers.

The bytes fit the prior that they were learned over; with another one they are not taken back.
"""

from __future__ import annotations

from zlib import compress, crc32, decompress
from zlib import error as ZlibError

import msgspec

from freehold.routing.learn.estimator import Estimator, Known, Prior, Sample
from freehold.routing.learn.features import Features, TaskGuess
from freehold.routing.learn.forest import floats, to_bytes
from freehold.routing.learn.tally import PackedTally, pack_tally, unpack_tally


class _Deployment(msgspec.Struct, frozen=True):
    ability: float
    precision: float
    tally: PackedTally


class _Sample(msgspec.Struct, frozen=True, array_like=True):
    vector: bytes
    task: str
    kind: str
    confidence: float
    outcomes: dict[str, float]


class _State(msgspec.Struct, frozen=True):
    prior: int
    deployments: dict[str, _Deployment]
    shared: PackedTally
    samples: list[_Sample]


def to_kept(estimator: Estimator, prior: Prior) -> bytes:
    """Everything learned. Some megabytes with thousands of outcomes; takes a noticeable moment."""
    deployments = {
        name: _Deployment(known.ability, known.precision, pack_tally(known.tally))
        for name, known in estimator.known().items()
    }
    samples = [
        _Sample(
            to_bytes("f", sample.features.vector),
            sample.features.task,
            sample.features.guess.kind,
            sample.features.guess.confidence,
            dict(sample.outcomes),
        )
        for sample in estimator.samples
    ]
    state = _State(_mark(prior), deployments, pack_tally(estimator.shared), samples)
    return compress(msgspec.msgpack.encode(state), 1)


def from_kept(data: bytes, prior: Prior) -> Estimator | None:
    """The estimator again, its groups not grown yet (`regrow`), or None: damaged, or of another prior."""
    try:
        state = msgspec.msgpack.decode(decompress(data), type=_State)
    except (ZlibError, msgspec.MsgspecError):
        return None
    if state.prior != _mark(prior):
        return None
    estimator = Estimator(prior)
    known = {
        name: Known(one.ability, one.precision, unpack_tally(one.tally))
        for name, one in state.deployments.items()
    }
    samples = [
        Sample(
            Features(tuple(floats(one.vector)), one.task, TaskGuess(one.kind, one.confidence)), one.outcomes
        )
        for one in state.samples
    ]
    estimator.restore(known, unpack_tally(state.shared), samples)
    return estimator


def _mark(prior: Prior) -> int:
    """Tells priors apart."""
    return crc32(to_bytes("f", prior.bases), crc32(to_bytes("f", prior.forest.cuts)))

"""Which of several places that have the same model: least to do, and the same beginnings to the same one.

A prompt whose beginning a server has seen is answered from its cache, so requests with one prefix belong
together; but not at the price of waiting while another is idle. Rendezvous hashing (Thaler and Ravishankar,
1998): each prefix has its own order of the servers, which stays as it is when others come and go. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from freehold.routing.world import Standing

SLACK = 1.0
"""How much busier than the idlest one (in calls for each slot) the preferred server may be."""
_UNKNOWN = Standing()


def balanced(names: Sequence[str], standings: Mapping[str, Standing], prefix: bytes) -> tuple[str, ...]:
    """The names in the order in which they should be tried.

    1. the prefix' own server, unless it is full while another is not, or much busier than the idlest
    2. else the one with the least to do; among equals the prefix decides
    """
    if len(names) < 2:
        return tuple(names)
    loads = {name: _load(standings.get(name, _UNKNOWN)) for name in names}
    own = sorted(names, key=lambda name: preference(name, prefix), reverse=True)
    by_load = sorted(own, key=lambda name: loads[name])
    if not prefix:
        return tuple(by_load)
    first, idlest = own[0], by_load[0]
    crowded = loads[first] >= 1.0 > loads[idlest] or loads[first] > loads[idlest] + SLACK
    if crowded or _waits(standings, first) > _waits(standings, idlest):
        return tuple(by_load)
    return (first, *(name for name in by_load if name != first))


def preference(name: str, prefix: bytes) -> int:
    """How much a prefix likes a server."""
    return int.from_bytes(blake2b(prefix, key=name.encode()[:64], digest_size=8).digest(), "big")


def _load(standing: Standing) -> float:
    """Calls for each slot; one that is not loaded counts as full."""
    return standing.outstanding / max(1, standing.slots) + (1.0 if standing.loaded is False else 0.0)


def _waits(standings: Mapping[str, Standing], name: str) -> bool:
    """It must be loaded first."""
    return standings.get(name, _UNKNOWN).loaded is False

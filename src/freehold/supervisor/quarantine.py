"""Requests that were under way when servers died: a second death with the same one, and it is refused.

A value and what follows from it; the pool keeps the value. A death of which no call can be the reason (we
ordered it, the machine was restarted) is not counted: the caller leaves it out. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

DEATHS_TO_BLOCK = 2
_MOST_DIGESTS = 4_096
"""Digests kept; the oldest leave first."""
_MOST_SERVERS = 8


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """One request and the servers that died under it, one entry for each death."""

    digest: str
    servers: tuple[str, ...]


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """The requests under suspicion, oldest suspicion first."""

    suspects: tuple[Suspect, ...] = ()

    @property
    def blocked(self) -> frozenset[str]:
        """Digests that are refused."""
        return frozenset(one.digest for one in self.suspects if len(one.servers) >= DEATHS_TO_BLOCK)


def after_death(quarantine: Quarantine, digests: Iterable[str], server: str) -> Quarantine:
    """The quarantine after a server died with these requests (SHA-256 hex of their bodies) under way.

    The same request in flight twice at one death counts once. Many requests at once are each only a little
    suspect, yet each innocent one would have to meet a second death to be refused.
    """
    known = {one.digest: one for one in quarantine.suspects}
    for digest in dict.fromkeys(digests):
        before = known.pop(digest, None)
        servers = (*(before.servers if before else ()), server)[-_MOST_SERVERS:]
        known[digest] = Suspect(digest=digest, servers=servers)
    return Quarantine(suspects=tuple(known.values())[-_MOST_DIGESTS:])


def blocks(quarantine: Quarantine, digest: str, server: str) -> str | None:
    """Why this request may not go to this server, for a person; None when it may.

    It is refused at every server: what brought one down twice shall not try the next.
    """
    found = next((one for one in quarantine.suspects if one.digest == digest), None)
    if found is None or len(found.servers) < DEATHS_TO_BLOCK:
        return None
    names = ", ".join(dict.fromkeys(found.servers))
    return (
        f"This same request was under way at {len(found.servers)} deaths of {names}, so {server} does not "
        f"get it again. Change the request, or let it through with `freehold servers start {server}`."
    )


def forgive(quarantine: Quarantine, server: str) -> Quarantine:
    """The quarantine after a person started this server by hand: its deaths no longer count."""
    kept = (
        Suspect(digest=one.digest, servers=tuple(name for name in one.servers if name != server))
        for one in quarantine.suspects
    )
    return Quarantine(suspects=tuple(one for one in kept if one.servers))

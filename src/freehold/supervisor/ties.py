"""What the lives of all servers of a pool share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.core.clock import Clock
from freehold.core.deaths import Certificate
from freehold.supervisor.records import Records
from freehold.supervisor.settings import PoolSettings


class Ties(msgspec.Struct, frozen=True, kw_only=True):
    """Given to each life by its pool."""

    settings: PoolSettings
    clock: Clock
    records: Records
    on_death: Callable[[Certificate], None]
    """Before anything follows from the death. Must not raise."""

"""Uses of tools that hooks kept in the state folder because Freehold did not answer: taken in at the start,
and while it runs, because a hook gives a busy Freehold less than a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from freehold.receipts.journal import LedgerError
from freehold.receipts.spool import waiting

LOOK_S = 5.0
"""Between two looks at the folder, which cost two `stat`s each."""


class Taker(Protocol):
    async def take_spool(self) -> int: ...


async def keep_taking(
    home: Path, taker: Callable[[], Taker], complain: Callable[[str], None], *, look_s: float = LOOK_S
) -> None:
    """Until cancelled. `taker` is asked for only when there is something to take. What cannot be recorded is
    told once, and tried again."""
    told = False
    while True:
        if waiting(home):
            try:
                await taker().take_spool()
                told = False
            except (LedgerError, OSError) as error:
                if not told:
                    complain(f"uses of tools that hooks kept cannot be recorded: {error}")
                told = True
        await asyncio.sleep(look_s)

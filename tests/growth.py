"""How work grows with its input, both measured in the same run: no figure of any one machine."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMES = 4
LINEAR = 8.0
"""More than this is worse than linear: in proportion would be 4, by the square 16."""


def growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """CPU time for four times the size over that for the size, the best of five each. `work` makes ready what
    is then timed."""
    small, large = work(size), work(TIMES * size)
    return min(_seconds(large) for _ in range(5)) / min(_seconds(small) for _ in range(5))


def _seconds(run: Callable[[], object]) -> float:
    began_s = time.thread_time()
    run()
    return time.thread_time() - began_s

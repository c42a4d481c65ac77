"""What work takes: CPU time of this thread, the best of five, so that a busy machine does not count; and how
that grows with its input, both measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMES = 4
LINEAR = 8.0
"""More than this is worse than linear: in proportion would be 4, by the square 16."""


def growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """CPU time for four times the size over that for the size. `work` makes ready what is then timed."""
    small, large = work(size), work(TIMES * size)
    return cpu_s(large) / cpu_s(small)


def cpu_s(run: Callable[[], object]) -> float:
    """Seconds."""
    return min(_once_s(run) for _ in range(5))


def _once_s(run: Callable[[], object]) -> float:
    began_s = time.thread_time()
    run()
    return time.thread_time() - began_s

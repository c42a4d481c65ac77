"""The price table on disk: made once for each version of genai-prices, kept for ever.

A receipt names its table by SHA-256, so a table is never rewritten or deleted here: a new version of the
price data or of the format is a new file beside the old ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from freehold.costs.table import FORMAT, PriceTableError

COMPILE_TIMEOUT_S = 60.0
TABLES = f"genai-prices-*-format-{FORMAT}.json"
"""Names of all tables in the folder."""


def ensure_snapshot(cache_dir: Path) -> Path:
    """The file with the price table of the installed genai-prices; compiles it when it is not there yet.

    Compiling takes about 0.4 s in a child process; call this beside the start, not in front of it. Two
    processes may do it at once: both write the same bytes. Raises PriceTableError.
    """
    try:
        installed = version("genai-prices")
    except PackageNotFoundError:
        raise PriceTableError("No price data: install genai-prices, then start again.") from None
    path = cache_dir / f"genai-prices-{installed}-format-{FORMAT}.json"
    if not path.exists():
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
            _compile(path)
        except OSError as error:
            raise PriceTableError(f"Cannot write the price table to {path}: {error}.") from error
    return path


def _compile(path: Path) -> None:
    handle, unfinished = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(unfinished)
    command = [sys.executable, "-m", "freehold.costs.compile_prices", str(part)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, check=False, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S
        )
        if done.returncode != 0:
            last = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
            raise PriceTableError(f"The price data of genai-prices cannot be read: {last}")
        part.replace(path)
    except subprocess.TimeoutExpired:
        raise PriceTableError(f"Compiling the price data took over {COMPILE_TIMEOUT_S:.0f} s.") from None
    finally:
        part.unlink(missing_ok=True)

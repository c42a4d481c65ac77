"""A process for `test_kill`: appends receipts for ever and acknowledges each on stdout once it is written."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from freehold.core.clock import SystemClock
from freehold.receipts.ledger import Ledger
from tests.receipts.story import SMALL, make_receipt


def main(home: Path, start: int) -> None:
    with Ledger.open(home, clock=SystemClock(), pace=replace(SMALL, checkpoint_s=0.005)) as ledger:
        number = start
        while True:
            receipt = make_receipt(number)
            ledger.append(receipt)
            os.write(1, f"{receipt.id}\n".encode())
            number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""`freehold receipts check`: checks a proof file, with nothing but the public key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freehold.cli.exits import NotProven
from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_facts, print_json, say
from freehold.cli.receipts.verify import KeyOption, read_text
from freehold.cli.wording import clock_time, cost
from freehold.receipts.keys import read_verifier
from freehold.receipts.merkle import ProofError
from freehold.receipts.proofs import check_proof


def check(
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="A proof made by `freehold receipts prove`.")],
    key: KeyOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a proof file: does this receipt stand in the log that this key signed?"""
    try:
        proven = check_proof(read_text(proof), key or read_verifier(chosen_home(home)))
    except ProofError as error:
        raise NotProven(f"{proof} proves nothing: {error}") from error
    head, receipt = proven.checkpoint, proven.receipt
    if as_json:
        print_json(
            {"ok": True, "index": proven.index, "log": head.origin, "size": head.size, "receipt": receipt}
        )
        return
    say(f"Proven: entry {proven.index} of {head.size:,} in the log {head.origin}.")
    print_facts(
        [
            ("receipt", receipt.id),
            ("time", clock_time(receipt.started_ms)),
            ("outcome", receipt.outcome),
            ("model", receipt.model or receipt.model_asked),
            ("cost", cost(receipt.cost_nanos, receipt.cost_state, with_state=True)),
        ]
    )
    say("Not proven: what was in the bodies, and that anybody told the truth.")

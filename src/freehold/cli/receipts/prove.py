"""`freehold receipts prove`: a file that shows to anybody that one receipt stands in the signed log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freehold.cli.exits import NotProven
from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.receipts.show import IdArgument, named_id
from freehold.receipts.keys import read_verifier
from freehold.receipts.merkle import ProofError
from freehold.receipts.notes import NoteError
from freehold.receipts.proofs import prove as make_proof


def prove(
    receipt_id: IdArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the proof here instead of to the terminal."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the proof that a receipt is in the log (C2SP tlog-proof), to be checked without this machine."""
    folder = chosen_home(home)
    try:
        proof = make_proof(folder, named_id(folder, receipt_id))
    except (NoteError, ProofError) as error:
        raise NotProven(f"the log itself is in doubt ({error}): run `freehold receipts verify`") from error
    key = read_verifier(folder).text
    if out:
        out.write_text(proof, encoding="utf-8")
    if as_json:
        print_json({"proof": proof, "key": key, "file": str(out) if out else None})
    elif out:
        say(f"Written to {out}. Whoever has it can check it with this key:")
        say(f"  freehold receipts check {out} --key '{key}'")
    else:
        print(proof, end="")

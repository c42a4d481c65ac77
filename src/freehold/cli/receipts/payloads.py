"""`freehold receipts payload` and `redact`: the bodies that were kept beside the log, when they were.

A body is shown only after it opened the commitment in its receipt, so what is printed is what was sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer

from freehold.cli.exits import NotProven
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.receipts.show import IdArgument, named_id
from freehold.core.config_file import load_config
from freehold.core.errors import FreeholdError
from freehold.receipts.commitments import Part
from freehold.receipts.payloads import PayloadFolder
from freehold.receipts.proofs import check_body, disclose
from freehold.receipts.query import find


def payload(
    receipt_id: IdArgument,
    part: Annotated[
        Part, typer.Argument(metavar="|".join(get_args(Part)), help="Which of the two bodies.")
    ] = "response",
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a request or answer that was kept, checked against its receipt. See `receipts.payloads`."""
    at = chosen_home(home)
    _, receipt = find(at, named_id(at, receipt_id))
    with payload_folder(config, at) as folder:
        body = folder.get(receipt.id, part) if folder else None
    if body is None:
        raise FreeholdError(
            f"the {part} of receipt {receipt.id} is not kept: it was redacted, or receipts.payloads did not "
            "ask for it when the call was made"
        )
    if not check_body(receipt, disclose(at, receipt.id, part), body):
        raise NotProven(f"what is kept is not the {part} that receipt {receipt.id} committed to")
    if as_json:
        print_json({"receipt": receipt.id, "part": part, "body": body.decode("utf-8", "replace")})
    else:
        sys.stdout.buffer.write(body)


def redact(
    receipt_id: IdArgument,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop the kept request and answer of a call for ever. Its receipt stays, and the log stays valid."""
    at = chosen_home(home)
    _, receipt = find(at, named_id(at, receipt_id))
    with payload_folder(config, at) as folder:
        dropped = folder.redact(receipt.id) if folder else 0
    if as_json:
        print_json({"receipt": receipt.id, "dropped": dropped})
    else:
        say(f"{dropped} kept {'body' if dropped == 1 else 'bodies'} of receipt {receipt.id} dropped.")


@contextmanager
def payload_folder(config: Path | None, home: Path) -> Generator[PayloadFolder | None]:
    """Where the configuration keeps bodies; None when nothing was ever kept there.

    Raises FreeholdError for what lies there and cannot be read.
    """
    wanted = load_config(config, os.environ, Path.cwd()).config.receipts.dir
    place = Path(wanted) if wanted else home / "payloads"
    if not place.is_dir():
        yield None
        return
    folder = PayloadFolder(place)
    try:
        yield folder
    except ValueError as error:
        raise NotProven(str(error)) from error
    finally:
        folder.close()

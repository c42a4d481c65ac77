"""`freehold receipts`: lists, shows, proves and verifies what the ledger keeps.

These commands read the state folder themselves, so they work beside a running Freehold and without one.
"""

from __future__ import annotations

import typer

from freehold.cli.receipts.check import check
from freehold.cli.receipts.export import export
from freehold.cli.receipts.listing import list_
from freehold.cli.receipts.payloads import payload, redact
from freehold.cli.receipts.prove import prove
from freehold.cli.receipts.rebuild import rebuild
from freehold.cli.receipts.show import show
from freehold.cli.receipts.verify import verify

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List, show, prove and verify the receipts of calls."
)
for _command, _name in (
    (list_, "list"),
    (show, "show"),
    (verify, "verify"),
    (prove, "prove"),
    (check, "check"),
    (export, "export"),
    (payload, "payload"),
    (redact, "redact"),
    (rebuild, "rebuild"),
):
    app.command(_name)(_command)

"""`freehold receipts rebuild`: makes the database again from the log."""

from __future__ import annotations

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.receipts.verify import progress
from freehold.receipts.rebuild import rebuild as rebuild_database


def rebuild(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make the receipts database again from the log alone. Freehold must not be running."""
    folder = chosen_home(home)
    with progress("entries read", shown=not as_json) as advance:
        count = rebuild_database(folder, advance)
    if as_json:
        print_json({"entries": count})
    else:
        say(f"The database in {folder} was made again from {count:,} entries.")

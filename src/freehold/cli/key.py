"""`freehold key`: makes API keys and hashes them. Nothing is stored; the hash goes into the configuration."""

from __future__ import annotations

import secrets
import string
import sys
from getpass import getpass
from typing import Annotated

import typer

from freehold.cli.options import JsonOption
from freehold.cli.output import print_json
from freehold.core.errors import FreeholdError
from freehold.core.keys import hash_key, key_name

app = typer.Typer(
    no_args_is_help=True, help="Make API keys for clients, and hash them for the configuration."
)

_SIGNS = string.ascii_letters + string.digits
_LENGTH = 32
"""32 of 62 signs are 190 random bits."""


@app.command("new")
def new(
    name: Annotated[
        str, typer.Option(help="Whose key it is: a comment beside its line.", metavar="TEXT")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a new key, show it once, and print the line for the configuration."""
    key = "fh-" + "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH))
    _show(key, " ".join(name.split()), as_json=as_json, with_key=True)


@app.command("hash")
def hash_(as_json: JsonOption = False) -> None:
    """Hash a key that you already have, read from the terminal or from standard input."""
    key = getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        raise FreeholdError("no key was given; type it, or pipe it in: freehold key hash < FILE")
    _show(key.strip(), "", as_json=as_json, with_key=False)


def _show(key: str, name: str, *, as_json: bool, with_key: bool) -> None:
    hashed = hash_key(key)
    if as_json:
        body = {"key": key} if with_key else {}
        print_json({**body, "hash": hashed, "short_name": key_name(hashed), "name": name})
        return
    if with_key:
        print(f"The new key, shown only now:\n\n  {key}\n")
    comment = f"  # {name}" if name else ""
    print(f"Put this line under auth.keys in freehold.yaml:\n\n  - {hashed}{comment}\n")
    print(f"Receipts will name it {key_name(hashed)}.")

"""`freehold doctor`: look, judge, and hand over what an operator should know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from freehold.adapters.host.checks import check
from freehold.adapters.host.collect import collect
from freehold.adapters.host.findings import Finding
from freehold.core.listen import parse_listen


def run_checks(home: Path, env: Mapping[str, str], listen: str) -> list[Finding]:
    """All findings about this machine, the gravest of an area first, in a fixed order of areas.

    `home` is the state folder (it need not exist), `listen` the address that Freehold would use. Takes as
    long as the slowest program that is asked, at most 8 s; changes nothing. Raises ConfigError when `listen`
    is no address.
    """
    return check(collect(home, env, parse_listen(listen)))

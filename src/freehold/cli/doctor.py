"""`freehold doctor`: looks at the machine, and says what to do about each finding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal, Protocol

import typer

from freehold.cli.exits import Exit
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.core.config_file import load_config

app = typer.Typer(add_completion=False)


class Finding(Protocol):
    """One thing looked at; see `adapters.host.findings`."""

    @property
    def level(self) -> Literal["ok", "info", "warn", "fail"]: ...
    @property
    def area(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def advice(self) -> str: ...


@app.command()
def doctor(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check this machine: engines, ports, GPUs, memory, disk, limits, clock, keys; and what to do."""
    loaded = load_config(config, os.environ, Path.cwd())
    from freehold.app import check_machine  # noqa: PLC0415 - not for `freehold --help`

    findings: Sequence[Finding] = check_machine(chosen_home(home), os.environ, loaded.config.listen)
    if as_json:
        print_json(findings)
    else:
        tell(findings)
    failed = any(finding.level == "fail" for finding in findings)
    raise typer.Exit(Exit.FAILED if failed else Exit.OK)


def tell(findings: Sequence[Finding]) -> None:
    """All findings in a table, then what to do, the gravest first."""
    rows: list[tuple[str, str, str, str]] = []
    for area, group in groupby(findings, key=lambda finding: finding.area):
        for number, finding in enumerate(group):
            rows.append(("" if number else area, finding.level, finding.title, finding.detail))
    print_table(["=AREA", "=LEVEL", "FOUND", "DETAIL"], rows)
    advised = [
        finding for level in ("fail", "warn", "info") for finding in findings
        if finding.level == level and finding.advice
    ]  # fmt: skip
    print()
    if advised:
        say("What to do:")
    for finding in advised:
        say(f"  - {finding.area}: {finding.advice}")
    if not advised:
        say("Nothing needs to be done.")

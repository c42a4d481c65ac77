"""The lock files fit pyproject.toml, pin everything, and name no machine and no package host."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("run", "dev")


def pins(lock: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements" / f"{lock}.lock").read_text().splitlines():
        requirement = Requirement(line)
        found.setdefault(requirement.name.lower().replace("_", "-"), []).append(requirement)
    return found


def wanted(lock: str) -> list[Requirement]:
    groups = PROJECT["dependency-groups"]
    lines = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["engine"]
    lines += groups["build"] + (groups["dev"] if lock == "dev" else [])
    return [Requirement(line) for line in lines]


def version_of(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_one_exact_version_and_no_address(lock: str) -> None:
    for requirements in pins(lock).values():
        for pin in requirements:
            assert [spec.operator for spec in pin.specifier] == ["=="], str(pin)
            assert pin.url is None


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_has_what_the_project_asks_for(lock: str) -> None:
    locked = pins(lock)
    for requirement in wanted(lock):
        name = requirement.name.lower().replace("_", "-")
        assert name in locked, f"{name} is not in requirements/{lock}.lock: run `make lock`"
        for pin in locked[name]:
            assert requirement.specifier.contains(version_of(pin)), f"{pin}: run `make lock`"


def test_development_runs_what_users_run() -> None:
    development = pins("dev")
    for name, requirements in pins("run").items():
        assert [version_of(pin) for pin in development[name]] == [version_of(pin) for pin in requirements]

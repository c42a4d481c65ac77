"""Stories of `freehold service`: a unit for the user's systemd, also where there is none.

systemd is a stand-in program on the PATH that writes down what it was asked; the units' texts are checked
by the real `systemd-analyze` where there is one (tests/app/test_units.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from freehold.cli.exits import Exit
from tests.cli.conftest import Freehold

ANSWERS = """#!/bin/sh
echo "$(basename "$0") $*" >> "$HOME/asked"
[ -e "$HOME/refuse" ] && { echo "Failed to connect to bus" >&2; exit 1; }
case "$*" in
  *show-user*) echo Linger=no;;
  *show*) printf 'ActiveState=active\\nUnitFileState=enabled\\nMainPID=77\\n';;
esac
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs; returns the file in which they write what they were asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "loginctl"):
        (programs / name).write_text(ANSWERS)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path / "asked"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


UNIT = Path(".config/systemd/user/freehold.service")


def lines() -> list[str]:
    return UNIT.read_text().splitlines()


def test_installing_writes_the_unit_and_starts_it(freehold: Freehold, systemd: Path, tmp_path: Path) -> None:
    Path("freehold.yaml").write_text("memory: {ram_reserve: 0}\n")
    ran = freehold("service", "install")
    assert ran.exit == Exit.OK, ran.err
    assert [line for line in systemd.read_text().splitlines() if line.startswith("systemctl")] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable freehold.service",
        "systemctl --user restart freehold.service",
    ]
    (start,) = [line for line in lines() if line.startswith("ExecStart=")]
    assert start.endswith(f"up --config {tmp_path}/freehold.yaml --home {tmp_path}/home")
    assert start.removeprefix("ExecStart=").startswith(str(Path(sys.executable).parent))
    assert {"Restart=on-failure", "KillMode=process", "OOMPolicy=continue", "Delegate=yes"} <= set(lines())
    assert f"EnvironmentFile=-{tmp_path}/.env" in lines()
    assert any(line.startswith("MemoryMax=") for line in lines())
    assert "loginctl enable-linger" in ran.out
    assert "keep_servers: true" in ran.out


def test_what_is_already_so_is_not_advised(freehold: Freehold, systemd: Path) -> None:
    Path("freehold.yaml").write_text("keep_servers: true\n")
    assert "keep_servers" not in freehold("service", "install").out


def test_the_bound_may_be_said_or_left_out(freehold: Freehold, systemd: Path) -> None:
    freehold("service", "install", "--memory-max", "8GiB")
    assert f"MemoryMax={8 * 1024**3}" in lines()
    freehold("service", "install", "--memory-max", "none")
    assert not [line for line in lines() if line.startswith("Memory")]


def test_without_systemd_the_unit_is_written_and_what_to_run_is_said(freehold: Freehold, bare: None) -> None:
    ran = freehold("service", "install")
    assert ran.exit == Exit.FAILED
    assert UNIT.exists()
    assert "there is no systemd here" in ran.err
    assert "systemctl --user daemon-reload" in ran.err


def test_a_systemd_that_does_not_answer_is_told_with_its_words(freehold: Freehold, systemd: Path) -> None:
    Path("refuse").touch()
    ran = freehold("service", "install")
    assert ran.exit == Exit.FAILED
    assert "Failed to connect to bus" in ran.err
    assert UNIT.exists()


def test_a_dry_run_prints_the_unit_and_touches_nothing(freehold: Freehold, systemd: Path) -> None:
    ran = freehold("service", "install", "--dry-run")
    assert ran.exit == Exit.OK
    assert "[Service]" in ran.out
    assert not UNIT.exists()
    assert not systemd.exists()
    assert freehold("service", "install", "--dry-run", "--json").json["unit"] in ran.out


def test_a_variable_of_this_shell_alone_would_be_missing_there(
    freehold: Freehold, systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    Path("freehold.yaml").write_text("auth: {keys: ['${MY_KEY}']}\n")
    ran = freehold("service", "install")
    assert ran.exit == Exit.CONFIG
    assert "variable MY_KEY is not set" in ran.err
    assert not UNIT.exists()
    Path(".env").write_text("MY_KEY=sk-1\n")
    assert freehold("service", "install").exit == Exit.OK
    assert "sk-1" not in UNIT.read_text()


def test_uninstalling_stops_it_and_removes_the_unit(freehold: Freehold, systemd: Path) -> None:
    freehold("service", "install")
    systemd.unlink()
    assert "Would stop" in freehold("service", "uninstall", "--dry-run").out
    assert UNIT.exists()
    assert freehold("service", "uninstall").exit == Exit.OK
    assert not UNIT.exists()
    assert systemd.read_text().splitlines() == [
        "systemctl --user disable --now freehold.service",
        "systemctl --user daemon-reload",
    ]
    again = freehold("service", "uninstall")
    assert (again.exit, "nothing to remove" in again.out) == (Exit.OK, True)


def test_status_says_what_systemd_says(freehold: Freehold, systemd: Path) -> None:
    freehold("service", "install")
    ran = freehold("service", "status", "--json")
    assert ran.exit == Exit.OK
    assert {key: ran.json[key] for key in ("active", "enabled", "pid", "lingers", "installed")} == {
        "active": "active",
        "enabled": "enabled",
        "pid": 77,
        "lingers": False,
        "installed": True,
    }
    assert "it ends with your last login" in freehold("service", "status").out


def test_status_without_systemd_is_not_running(freehold: Freehold, bare: None) -> None:
    ran = freehold("service", "status")
    assert ran.exit == Exit.NOT_RUNNING
    assert "(not there)" in ran.out

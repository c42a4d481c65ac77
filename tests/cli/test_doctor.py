"""How findings about the machine are told; finding them is tested where that is done."""

from __future__ import annotations

import pytest

from freehold.adapters.host.findings import Finding
from freehold.cli.doctor import tell

FINDINGS = [
    Finding(level="ok", area="python", title="Python 3.11"),
    Finding(level="warn", area="disk", title="2 GB free", detail="on /", advice="Free some space."),
    Finding(level="info", area="disk", title="rotational"),
    Finding(level="fail", area="ports", title="8400 is taken", detail="by \x1b[31mevil", advice="Stop it."),
]


def test_findings_are_grouped_and_the_gravest_advice_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    tell(FINDINGS)
    out = capsys.readouterr().out
    assert out.count("disk") == 2, "once in the table, once in the advice"
    assert out.index("ports: Stop it.") < out.index("disk: Free some space.")
    assert "\x1b" not in out


def test_a_healthy_machine_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tell(FINDINGS[:1])
    assert "Nothing needs to be done." in capsys.readouterr().out

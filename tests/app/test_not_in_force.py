"""What is read and does nothing yet is said; what works is not."""

from __future__ import annotations

import msgspec

from freehold.app.not_in_force import without_effect
from freehold.core.config import Config


def test_each_section_that_changes_nothing_is_named() -> None:
    said = {
        "budgets": [{"scope": "all", "limit_usd": 1}],
        "telemetry": {"forward": "http://127.0.0.1:4318"},
        "routing": {"coalesce": False, "hedge": {"share": 0.1}},
    }
    told = list(without_effect(msgspec.convert(said, Config)))
    assert [text.split("`")[1] for text in told] == ["routing.hedge"]


def test_an_empty_configuration_is_at_work_as_a_whole() -> None:
    assert list(without_effect(Config())) == []

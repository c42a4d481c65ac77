"""What can be said of tiers and routing, and what is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.core.config import AliasConfig, Config
from freehold.core.config_diff import differences
from freehold.core.config_file import read_config
from tests.core.test_config_file import written

HOUSE = """
servers: {qwen: {model: a.gguf}, glm: {model: b.gguf}}
providers:
  openai: {base_url: https://api.openai.com/v1, models: [gpt-5, gpt-5-mini]}
  any: {base_url: https://any.example/v1}
models: {wise: [qwen, openai/gpt-5]}
discover: false
"""


def problems(tmp_path: Path, text: str, house: str = HOUSE) -> list[str]:
    return [str(each).partition(": ")[2] for each in read_config(written(tmp_path, house + text), {})[1]]


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    text = """
tiers: {local: [qwen, glm], balanced: [openai/gpt-5-mini], premium: [openai/gpt-5, any/thing]}
routing:
  baseline: openai/gpt-5
  quality: 0.9
  tasks: {heartbeat: local, review: premium, code: qwen, plan: wise, writer: any/else}
  sticky: 30m
  explore: 0.02
  escalate: false
  shadow: {share: 0.05, judge: openai/gpt-5, budget_usd: 1}
  hedge: {share: 0.05, quantile: 0.9, least: 250ms}
  coalesce: false
"""
    config, found = read_config(written(tmp_path, HOUSE + text), {})
    assert found == []
    assert config is not None
    assert [name for _, _, name in config.tiers.named()] == [
        "qwen",
        "glm",
        "openai/gpt-5-mini",
        "openai/gpt-5",
        "any/thing",
    ]
    assert (config.routing.sticky_s, config.routing.hedge.least_s) == (1800.0, 0.25)
    assert config.routing.tasks["plan"] == "wise"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "tiers: {local: [qwne]}",
            "tiers.local[0]: 'qwne' is not a server, or a provider's model (PROVIDER/model-id). "
            "Did you mean 'qwen'?",
        ),
        ("tiers: {local: [qwen], premium: [qwen]}", "'qwen' stands in local, too; a model is in one tier"),
        ("tiers: {local: [qwen, qwen]}", "'qwen' stands twice"),
        ("tiers: {premium: [openai/gpt-6]}", "Did you mean 'openai/gpt-5'?"),
        ("tiers: {premium: [opnai/gpt-5]}", "Did you mean 'openai/gpt-5'?"),
        ("tiers: {cheap: [qwen]}", "unknown key"),
        ("routing: {tasks: {code: locl}}", "Did you mean 'local'?"),
        ("routing: {tasks: {code: wize}}", "Did you mean 'wise'?"),
        ("routing: {baseline: gpt-5}", "routing.baseline: 'gpt-5' is not a server"),
        ("routing: {shadow: {judge: openai/gpt5}}", "routing.shadow.judge"),
        ("routing: {quality: 1.5}", "expected a number above 0 and at most 1"),
        ("routing: {explore: 2}", "routing.explore"),
        (
            "routing: {escalate: false, validators: {code: {command: [a]}}}",
            "routing.validators: are never asked while `escalate` is false",
        ),
        ("routing: {escalate: false, agree: [maths]}", "routing.agree: compares nothing while `escalate`"),
        ("routing: {validators: {code: {command: []}}}", "routing.validators.code.command"),
        ("routing: {validators: {code: {command: [a], timeout: 10m}}}", "at most 300 s"),
        ("routing: {sticky: soon}", "expected a duration"),
    ],
)
def test_mistakes_are_named_with_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert said in found[0]


def test_what_may_yet_be_found_on_the_machine_is_no_mistake(tmp_path: Path) -> None:
    looking = HOUSE.replace("discover: false", "discover: true")
    assert problems(tmp_path, "tiers: {local: [found-model, ollama/llama3]}", looking) == []
    assert len(problems(tmp_path, "tiers: {premium: [openai/gpt-6]}", looking)) == 1
    assert len(problems(tmp_path, "routing: {tasks: {code: locl}}", looking)) == 1


def test_a_name_of_one_s_own_says_how_it_picks(tmp_path: Path) -> None:
    text = HOUSE.replace("models: {wise:", "models: {quick: {candidates: [qwen], route: fastest}, wise:")
    config, found = read_config(written(tmp_path, text), {})
    assert found == []
    assert config is not None
    quick = config.models["quick"]
    assert isinstance(quick, AliasConfig)
    assert quick.route == "fastest"
    wrong = problems(tmp_path, "", text.replace("fastest", "quickest"))
    assert "models.quick.route" in wrong[0]


def test_a_reload_swaps_what_chooses() -> None:
    new = Config(
        tiers=Config().tiers.__class__(local=("a",)), routing=Config().routing.__class__(quality=0.5)
    )
    assert [(change.key, change.effect) for change in differences(Config(), new)] == [
        ("tiers", "names"),
        ("routing", "at once"),
    ]

"""What `cache:` can say, and which mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.core.config_cache import CacheConfig, ExactCacheConfig
from freehold.core.config_file import read_config
from tests.core.test_config_file import written


def read(tmp_path: Path, text: str) -> tuple[CacheConfig | None, list[str]]:
    config, problems = read_config(written(tmp_path, text), {})
    return (None if config is None else config.cache), [str(problem) for problem in problems]


def test_nothing_is_kept_unless_said(tmp_path: Path) -> None:
    cache, _ = read(tmp_path, "{}")
    assert cache == CacheConfig()
    assert not CacheConfig().answers


def test_an_empty_section_keeps_answers_with_the_usual_bounds(tmp_path: Path) -> None:
    cache, problems = read(tmp_path, "cache: {exact: {}}")
    assert problems == []
    assert cache is not None
    assert cache.answers
    assert cache.exact == ExactCacheConfig()
    assert (cache.exact.ttl_s, cache.exact.entries) == (3600, 1000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cache: {exact: {ttl: 0}}", "cache.exact.ttl"),
        ("cache: {exact: {ttl: soon}}", "a duration"),
        ("cache: {exact: {entries: 0}}", "at least 1"),
        ("cache: {exact: {tools: some}}", "cache.exact.tools"),
        ("cache: {semantic: {}}", "for nobody"),
        ("cache: {semantic: {models: [a], threshold: 1.5}}", "threshold"),
        ("cache: {semantic: {models: [a], ttl: 0}}", "cache.semantic.ttl"),
        ("discover: false\ncache: {semantic: {models: [a], embeddings: nomic}}", "cache.semantic.embeddings"),
        (
            "discover: false\ncache: {semantic: {models: [a], embeddings: x/nomic}}",
            "cache.semantic.embeddings",
        ),
        ("cache: {prompt_help: some}", "prompt_help"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    _, problems = read(tmp_path, text)
    assert len(problems) == 1
    assert said in problems[0]


def test_the_embedding_model_may_be_a_server_or_a_providers(tmp_path: Path) -> None:
    text = (
        "discover: false\nservers: {nomic: {model: nomic.gguf}}\nproviders: {x: {base_url: http://x}}\n"
        "cache: {semantic: {models: [a], embeddings: %s}}"
    )
    assert read(tmp_path, text % "nomic")[1] == []
    assert read(tmp_path, text % "x/embed")[1] == []

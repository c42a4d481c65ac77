"""The published schema and the reader agree, on the example file and on mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from freehold.core.config import Config
from freehold.core.config_file import read_config
from freehold.core.config_schema import config_schema
from tests.core.test_config_file import written

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "freehold.yaml"
KEYS = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "FREEHOLD_KEY": "k3"}
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
NOTES = {"title", "description", "examples", "default", "$schema", "$defs"}


def obeys(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """JSON Schema for the words that this schema uses; an unknown word fails the test."""
    for word, rule in schema.items():
        match word:
            case "$ref":
                ok = obeys(value, root["$defs"][rule.rpartition("/")[2]], root)
            case "anyOf":
                ok = any(obeys(value, arm, root) for arm in rule)
            case "type":
                ok = isinstance(value, TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
            case "enum":
                ok = value in rule
            case "required":
                ok = all(name in value for name in rule)
            case "properties":
                ok = all(obeys(value[name], part, root) for name, part in rule.items() if name in value)
            case "additionalProperties":
                extra = value.keys() - schema.get("properties", {}).keys()
                ok = not extra if rule is False else all(obeys(value[name], rule, root) for name in extra)
            case "items":
                ok = all(obeys(item, rule, root) for item in value)
            case "minimum":
                ok = value >= rule
            case "maximum":
                ok = value <= rule
            case "exclusiveMinimum":
                ok = value > rule
            case "minLength":
                ok = len(value) >= rule
            case "pattern":
                ok = re.search(rule, value) is not None
            case _:
                assert word in NOTES, f"the schema says {word}, which this test does not know"
                ok = True
        if not ok:
            return False
    return True


def test_the_example_obeys_the_schema_and_is_read() -> None:
    schema = config_schema()
    assert obeys(yaml.safe_load(EXAMPLE.read_text()), schema, schema)
    config, problems = read_config(EXAMPLE, KEYS)
    assert problems == []
    assert config is not None
    assert config.providers
    assert config.servers
    assert config.models


def test_the_example_shows_every_key_that_there_is() -> None:
    text = EXAMPLE.read_text()
    sections = config_schema()["$defs"].values()
    missing = [key for section in sections for key in section["properties"] if f"{key}:" not in text]
    assert missing == []


def test_every_key_is_described() -> None:
    for section in config_schema()["$defs"].values():
        assert section["description"]
        assert all(part["description"] for part in section["properties"].values())


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("{}", True),
        ("servers: {a: {model: x, context: 512}}", True),
        ("servers: {a: {model: x, context: '${CTX}'}}", True),
        ("servers: {a: {model: x, context: 0}}", False),
        ("servers: {a: {model: ''}}", False),
        ("servers: {a: {context: 1}}", False),
        ("servers: {a: {adopt: 'http://127.0.0.1:8080'}}", True),
        ("servers: {a: {command: [x, '{port}'], memory: {vram: 4GiB, ram: 100}}}", True),
        ("servers: {a: {model: x, memory: {vram: four}}}", False),
        ("servers: {a: {model: x, memory: {swap: 1}}}", False),
        ("servers: {a: {model: x, idle_stop: 15m, min_stay: 2.5, max_wait: '${CTX}'}}", True),
        ("servers: {a: {model: x, idle_stop: 15 minutes}}", False),
        ("servers: {a: {model: x, min_stay: -1}}", False),
        ("servers: {a: {model: x, gpus: none}}", True),
        ("servers: {a: {model: x, gpus: [0, 1]}}", True),
        ("servers: {a: {model: x, gpus: some}}", False),
        ("servers: {a: {model: x, gpus: [-1]}}", False),
        ("servers: {a: {model: x, priority: 101}}", False),
        ("servers: {a: {model: x, engine: vllm, gpu_memory: 1.1}}", False),
        ("memory: {vram_reserve: 1GiB}", True),
        ("engines: {llama.cpp: /opt/llama-server}", True),
        ("models: {a: {candidates: [x], max_wait: 20s}}", True),
        ("models: {a: {max_wait: 20s}}", False),
        ("providers: {a: {base_url: http://x, models: '*', dialect: openai}}", True),
        ("providers: {a: {base_url: http://x, models: all}}", False),
        ("providers: {a: {base_url: http://x, timeout_s: 0}}", False),
        ("providers: {a: {base_url: http://x, responses: maybe}}", False),
        ("models: {a: x}", False),
        ("lisen: x", False),
        ("discover: '${LOOK:-true}'", True),
    ],
)
def test_schema_and_reader_agree(tmp_path: Path, text: str, valid: bool) -> None:
    schema = config_schema()
    assert obeys(yaml.safe_load(text), schema, schema) is valid
    config, _ = read_config(written(tmp_path, text), {"CTX": "1"})
    assert (config is not None) is valid
    assert config is None or isinstance(config, Config)

"""One house with small bounds, so that running into them takes no time; one stand-in behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from freehold.testing.standin import Standin
from tests.house import MODELS, House, provider

LIMITS = {
    "header_bytes": 8192,
    "header_count": 40,
    "url_bytes": 2048,
    "body_bytes": 100_000,
    "upload_bytes": 1_000_000,
    "answer_bytes": 200_000,
    "event_bytes": 200_000,
    "header_timeout_s": 0.4,
    "body_timeout_s": 0.4,
    "keep_alive_s": 1.5,
}


@pytest.fixture(scope="module")
def shared_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Standin(MODELS))
        config = {
            "providers": {"alpha": provider(upstream, timeout_s=1), "patient": provider(upstream)},
            "models": {f"steady-{model}": [f"alpha/{model}", f"patient/{model}"] for model in MODELS},
        }
        house = House(tmp_path_factory.mktemp("door"), config, limits=LIMITS)
        stack.callback(house.stop)
        yield SimpleNamespace(house=house, upstream=upstream, wire=house.wire, models=iter(MODELS))


@pytest.fixture
def door(shared_door: SimpleNamespace) -> Iterator[SimpleNamespace]:
    shared_door.upstream.reset()
    shared_door.house.new_receipts()
    yield shared_door
    with shared_door.wire() as wire:
        assert wire.call("/health").status == 200, "the door still opens after every attack"
    assert "Traceback" not in shared_door.house.log


@pytest.fixture
def model(door: SimpleNamespace) -> str:
    return next(door.models)

"""A house around one priced stand-in, or two: what stories about money need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from freehold.testing.standin import Standin
from tests.house import House, provider
from tests.talk import PATHS, asking
from tests.wire import Answer

INPUT_USD, OUTPUT_USD = 3.0, 15.0
"""For a million tokens."""


def priced(
    upstream: Standin, name: str = "alpha", input_usd: float = INPUT_USD, output_usd: float = OUTPUT_USD
):
    """Prices for all models of a stand-in that is the provider `name`."""
    price = {"input": input_usd, "output": output_usd}
    return {f"{name}/{model}": price for model in upstream.models}


def house_with(folder: Path, upstream: Standin, **config: Any) -> House:
    """A house whose one provider, `alpha`, costs money."""
    return House(folder, {"providers": {"alpha": provider(upstream)}, "prices": priced(upstream)} | config)


def ask(
    house: House, model: str = "alpha/m0", text: str = "hello", dialect: str = "chat", **more: Any
) -> Answer:
    headers = more.pop("headers", {})
    with house.wire() as wire:
        return wire.call(PATHS[dialect], asking(dialect, model, text, **more), headers=headers)

"""Validators as processes: whatever they do, there is a verdict."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from freehold.app.validators import Validators
from freehold.routing.validating import Verdict
from freehold.routing.world import Check


def check(*command: str) -> Check:
    return Check(command=command, timeout_s=60.0)


@pytest.mark.parametrize("size", [100, 500_000])
async def test_a_validator_need_not_read_what_it_is_told(tmp_path: Path, size: int) -> None:
    assert (await Validators(tmp_path).check(check("true"), b"x" * size)).good is True


async def test_a_pipe_that_is_closed_already_in_the_words_of_uvloop_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drain(_: asyncio.StreamWriter) -> None:
        raise RuntimeError("unable to perform operation on <UnixWritePipeTransport closed=True>")

    monkeypatch.setattr(asyncio.StreamWriter, "drain", drain)
    assert (await Validators(tmp_path).check(check("true"), b"{}")).good is True


def test_the_same_on_the_loop_of_a_house(tmp_path: Path) -> None:
    async def many() -> list[Verdict]:
        validators = Validators(tmp_path)
        return [await validators.check(check("true"), b"x" * 100) for _ in range(20)]

    assert all(verdict.good for verdict in uvloop.run(many()))

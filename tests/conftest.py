"""Fixtures that many rooms share: a stand-in model server, and the whole house with stand-ins around it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ["FREEHOLD_NATIVE"] = "off"
import freehold.gateway  # noqa: F401 - this process runs the Python files, where fakes may stand in

del os.environ[
    "FREEHOLD_NATIVE"
]  # a Freehold started by a test runs as a user's does: compiled where it can be

from freehold.testing.standin import Standin
from tests.house import Town, town_standins

settings.register_profile("untimed", deadline=None)  # machines are noisy: no story is about time
settings.load_profile("untimed")


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One Freehold process and three stand-ins for all tests of a module. Use `town`."""
    with contextlib.ExitStack() as stack:
        standins = [stack.enter_context(upstream) for upstream in town_standins()]
        town = Town(tmp_path_factory.mktemp("town"), standins)
        stack.callback(town.house.stop)
        yield town


@pytest.fixture
def town(shared_town: Town) -> Iterator[Town]:
    """The module's town; stand-ins behave well again and old receipts are read when a test begins."""
    shared_town.reset()
    yield shared_town
    shared_town.reset()


@pytest.fixture
def model(town: Town) -> str:
    """A model id for this test alone."""
    return town.model()

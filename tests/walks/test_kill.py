"""`kill -9` at any moment: every complete answer has its receipt, once, and the log verifies."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from tests.house import House, provider
from tests.talk import PATHS, asking
from tests.wire import ClosedError

CLIENTS = 64


def kill_among_clients(house: House, kill_after: int) -> list[str]:
    """Let 64 clients call until `kill_after` calls are complete, kill; the receipts of whole answers."""
    complete: list[str] = []
    reached = threading.Event()

    def client(number: int) -> None:
        try:
            with house.wire() as wire:
                for turn in itertools.count():
                    dialect = ("chat", "responses")[turn % 2]
                    body = asking(dialect, "alpha/m1", stream=(number + turn) % 3 == 0)
                    answer = wire.call(PATHS[dialect], body)
                    assert answer.status == 200
                    complete.append(answer.header("x-freehold-receipt"))
                    if len(complete) >= kill_after:
                        reached.set()
        except (OSError, ClosedError):
            return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    assert reached.wait(120)
    house.kill()
    for thread in threads:
        thread.join()
    return complete


def prove(town, folder, kill_after: int) -> None:
    house = House(folder, {"providers": {"alpha": provider(town.alpha, responses=True)}})
    try:
        complete = kill_among_clients(house, kill_after)
        house.restart()
        ids = [receipt.id for receipt in house.receipts()]
        assert len(ids) == len(set(ids)), "a receipt stands there twice"
        assert set(complete) - set(ids) == set(), "a complete answer has no receipt"
        with house.wire() as wire:
            assert wire.call(PATHS["chat"], asking("chat", "alpha/m1")).status == 200
        assert house.stop() == 0
        verified = house.run("receipts", "verify", "--home", str(house.home), "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        house.stop()


def test_receipts_survive_kill_9_with_64_clients(town, tmp_path):
    prove(town, tmp_path, random.Random().randrange(100, 400))


@pytest.mark.slow
@pytest.mark.parametrize("round_number", range(3))
def test_receipts_survive_kill_9_among_ten_thousand_calls(town, tmp_path, round_number):
    prove(town, tmp_path, random.Random().randrange(8_000, 10_000))

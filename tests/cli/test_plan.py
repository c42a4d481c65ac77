"""`freehold plan` as a person reads it, and as a program does."""

from __future__ import annotations

import pytest

from freehold.cli.plan_words import place_words, sentences
from freehold.supervisor.plan_view import GpuShare, Option, PlanView, RamPlan, ServerPlan
from freehold.testing.tiny_model import model_path
from tests.cli.conftest import Freehold

GIB = 1024**3
RAM = RamPlan(
    total_bytes=16 * GIB,
    reserve_bytes=GIB,
    others_bytes=0,
    planned_bytes=0,
    prompt_cache_bytes=0,
    mapped_bytes=0,
    left_bytes=15 * GIB,
)


def told(*servers: ServerPlan, apart: tuple[tuple[str, str], ...] = (), ram: RamPlan = RAM) -> list[str]:
    return sentences(PlanView(gpus=(), ram=ram, servers=servers, apart=apart))


def server(**facts: object) -> ServerPlan:
    return ServerPlan(**({"name": "a", "engine": "llama.cpp", "model": "m", "fit": "together"} | facts))  # pyright: ignore


def test_a_plan_for_another_machine_is_a_table(freehold: Freehold) -> None:
    ran = freehold("plan", "--add", str(model_path()), "--gpu", "24GiB", "--gpu", "8GiB", "--ram", "64GiB")
    assert ran.exit == 0, ran.err
    assert "GPU 1   8.0 GiB" in ran.out
    assert "GPU 1" in ran.out.split("SERVER", 1)[1]  # the smaller hole that is large enough


def test_a_program_gets_json(freehold: Freehold) -> None:
    view = freehold("plan", "--add", str(model_path()), "--slots", "2", "--gpu", "8GiB", "--json").json
    (one,) = view["servers"]
    assert one["slots"] == 2
    assert one["fit"] == "together"
    assert view["gpus"][0]["total_bytes"] == 8 * GIB


def test_what_does_not_fit_ends_with_a_status_that_scripts_see(freehold: Freehold) -> None:
    ran = freehold("plan", "--add", str(model_path()), "--ram", "1GiB")
    assert ran.exit == 1
    assert "does not fit: it needs" in ran.out


def test_one_server_alone_can_be_looked_at(freehold: Freehold) -> None:
    ran = freehold("plan", "--add", str(model_path()), "--gpu", "8GiB", "--server", "nobody")
    assert ran.exit == 1
    assert "no server is called 'nobody'" in ran.err


def test_a_size_that_is_none_and_a_lonely_option_are_refused(freehold: Freehold) -> None:
    assert "'much' is no size" in freehold("plan", "--gpu", "much").err
    assert freehold("plan", "--context", "5").exit == 2


def test_without_anything_to_plan_it_says_what_to_do(freehold: Freehold) -> None:
    ran = freehold("plan")
    assert ran.exit == 0
    assert "--add" in ran.out


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (server(), "RAM"),
        (server(gpus=(GpuShare(gpu=0, bytes=1),), gpu_layers=33, all_layers=33), "GPU 0"),
        (server(gpus=(GpuShare(gpu=0, bytes=1), GpuShare(gpu=2, bytes=1))), "GPU 0+2"),
        (server(gpus=(GpuShare(gpu=1, bytes=1),), gpu_layers=9, all_layers=33), "GPU 1, 9 of 33 layers"),
        (
            server(gpus=(GpuShare(gpu=1, bytes=1),), gpu_layers=3, all_layers=3, host_experts=2),
            "GPU 1, experts of 2 blocks in RAM",
        ),
    ],
)
def test_a_place_in_words(one: ServerPlan, words: str) -> None:
    assert place_words(one) == words


def test_what_does_not_fit_says_what_would() -> None:
    options = (Option(kv="q8_0"), Option(context=8192, slots=2))
    (line,) = told(
        server(fit="never", why="it needs 9 GiB on one GPU and 8 GiB may be used (GPU 0)", nearest=options)
    )
    assert line == (
        "a does not fit: it needs 9 GiB on one GPU and 8 GiB may be used (GPU 0). "
        "It would fit with `kv: q8_0` or with `slots: 2, context: 8192`."
    )


def test_who_is_kept_out_by_a_pinned_server_learns_by_whom() -> None:
    (line,) = told(server(fit="never", why="it needs more", blocked_by=("b", "c")))
    assert line == "a does not fit: it needs more. Without b and c, never stopped for it, it would."


def test_pairs_are_told_once() -> None:
    swap = server(fit="swap", why="it needs more", evicts=("b",))
    lines = told(swap, server(name="b"), server(name="c"), apart=(("a", "b"), ("b", "c")))
    assert lines == ["a takes turns with b: it needs more.", "b never runs at the same time as c."]


def test_slow_places_are_named() -> None:
    assert "partly in RAM" in told(server(gpus=(GpuShare(gpu=0, bytes=1),), nearest=(Option(slots=1),)))[0]
    assert "from the disk" in told(server(mapped_bytes=40 * GIB))[0]


def test_what_is_not_known_is_not_counted() -> None:
    assert told(server(fit="unknown", note="Ollama decides")) == ["a is not planned: Ollama decides."]
    assert told(server(fit="unreadable", why="no such file")) == ["a: no such file."]

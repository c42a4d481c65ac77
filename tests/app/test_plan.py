"""The plan of a whole house: from its configuration, its models' files, and a machine that is or might be."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.adapters.engines.registry import engines
from freehold.adapters.host.gauge import HostGauge
from freehold.app.appraise import HouseAppraiser
from freehold.app.plan import Added, WhatIf, house_plan, own_plan, pretend
from freehold.core.config_file import LoadedConfig, load_config
from freehold.core.memory import (
    GpuMemory,
    MachineMemory,
    MemoryNeed,
    MemoryPart,
    MemoryUse,
    Placement,
    Reserve,
)
from freehold.core.servers import ServerSpec, ServerState, ServerView
from freehold.supervisor.plan import PlanView
from freehold.supervisor.plan_view import ServerPlan
from freehold.testing.tiny_model import model_path
from freehold.web import control

GIB = 1024**3
MIB = 1024**2


def loaded(folder: Path, text: str) -> LoadedConfig:
    (folder / "freehold.yaml").write_text(text)
    return load_config(None, {"HOME": str(folder)}, folder)


def server(view: PlanView, name: str) -> ServerPlan:
    return next(one for one in view.servers if one.name == name)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}


def test_configured_servers_are_planned_on_a_machine_that_might_be(
    tmp_path: Path, env: dict[str, str]
) -> None:
    config = loaded(
        tmp_path,
        f"""
servers:
  tiny: {{model: {model_path()}, context: 4096, slots: 2, pin: true}}
  voice: {{command: [tts, "{{port}}"], memory: {{vram: 6GiB, ram: 1GiB}}}}
  other: {{command: [tts, "{{port}}"], memory: {{vram: 6GiB}}}}
memory: {{vram_reserve: 1GiB}}
""",
    )
    view = own_plan(config, tmp_path, env, WhatIf(gpus=(8 * GIB,), ram_bytes=16 * GIB))
    assert [one.fit for one in view.servers] == ["together", "together", "swap"]
    assert server(view, "tiny").trained_context
    assert server(view, "tiny").gpus[0].gpu == 0
    assert server(view, "other").evicts == ("voice",)
    assert view.ram.total_bytes == 16 * GIB
    assert msgspec.json.decode(msgspec.json.encode(view), type=PlanView) == view


def test_a_model_is_asked_about_beside_the_configured_ones(tmp_path: Path, env: dict[str, str]) -> None:
    config = loaded(tmp_path, f"servers: {{tiny: {{model: {model_path()}}}}}\n")
    copy = tmp_path / "tiny.gguf"
    copy.write_bytes(model_path().read_bytes())
    asked = Added(path=copy, context=2048, slots=3, kv="q8_0")
    view = own_plan(config, tmp_path, env, WhatIf(added=asked, gpus=(8 * GIB,)))
    added = server(view, "tiny-2")
    assert (added.added, added.context, added.slots, added.kv) == (True, 2048, 3, "q8_0")
    assert added.fit == "together"


def test_without_servers_the_models_that_lie_around_are_planned_for(
    tmp_path: Path, env: dict[str, str]
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "found.gguf").write_bytes(model_path().read_bytes())
    view = own_plan(LoadedConfig(loaded(tmp_path, "{}\n").config), tmp_path, env)
    assert [one.name for one in view.servers] == ["found"]


def test_a_model_that_is_gone_is_said_and_the_rest_is_planned(tmp_path: Path, env: dict[str, str]) -> None:
    config = loaded(tmp_path, f"servers: {{gone: {{model: no.gguf}}, tiny: {{model: {model_path()}}}}}\n")
    view = own_plan(config, tmp_path, env, WhatIf(gpus=(8 * GIB,)))
    assert server(view, "gone").fit == "unreadable"
    assert server(view, "tiny").fit == "together"


def test_what_a_running_freehold_holds_is_free_for_the_plan(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = HostGauge(env).machine()  # looked at once: the machine goes on meanwhile
    monkeypatch.setattr(HostGauge, "machine", lambda _: now)
    config = loaded(tmp_path, "servers: {a: {command: [x, '{port}'], memory: {ram: 1GiB}}}\n")
    held = control.ServerMemory(planned_ram_bytes=5 * GIB, measured_ram_bytes=64 * MIB)
    running = control.ServerView(
        name="a", engine="command", model="", state="ready", context=0, slots=4, pid=7, memory=held
    )
    idle = own_plan(config, tmp_path, env)
    view = own_plan(config, tmp_path, env, running=[running])
    assert server(view, "a").running
    assert not server(idle, "a").running
    assert idle.ram.others_bytes - view.ram.others_bytes == 64 * MIB


def test_a_running_freehold_plans_with_its_own_views(tmp_path: Path, env: dict[str, str]) -> None:
    specs = [
        ServerSpec(name="a", engine="command", vram_bytes=6 * GIB),
        ServerSpec(name="b", engine="command", vram_bytes=3 * GIB),
    ]
    there = MachineMemory(
        ram_total_bytes=8 * GIB,
        ram_free_bytes=8 * GIB,
        gpus=(GpuMemory(index=0, total_bytes=8 * GIB, free_bytes=2 * GIB),),
    )
    need = MemoryNeed(parts=(MemoryPart(what="other", bytes=6 * GIB, device=0),), devices=1)
    view = ServerView(
        name="a",
        engine="command",
        model="",
        model_id="a",
        state=ServerState.READY,
        pid=9,
        placement=Placement(need=need, gpus=(0,)),
    )
    appraiser = HouseAppraiser(tmp_path, engines(env), env)
    found = house_plan(appraiser, specs, there, Reserve(vram_bytes=0), [view])
    assert server(found, "a").fit == "together"
    assert server(found, "b").fit == "swap"
    assert found.gpus[0].others_bytes == 0
    use = MemoryUse(at_ms=1, anon_bytes=0, rss_bytes=0, gpu_bytes={0: 4 * GIB})
    measured = house_plan(appraiser, specs, there, Reserve(vram_bytes=0), [view], {"a": use})
    assert measured.gpus[0].others_bytes == 2 * GIB  # somebody else has what it does not have
    untold = MemoryUse(at_ms=1, anon_bytes=0, rss_bytes=0)
    assert house_plan(appraiser, specs, there, Reserve(vram_bytes=0), [view], {"a": untold}) == found


def test_a_pretended_machine_keeps_what_was_not_asked_for() -> None:
    now = MachineMemory(ram_total_bytes=8, ram_free_bytes=5)
    assert pretend(now, WhatIf()) is now
    assert pretend(now, WhatIf(gpus=(7,))).ram_free_bytes == 5
    assert pretend(now, WhatIf(ram_bytes=9)).ram_free_bytes == 9

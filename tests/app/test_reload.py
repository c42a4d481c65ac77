"""A reload applies what changed, one server at a time, and a broken file changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.adapters.providers.catalog import build_catalog, configured_servers
from freehold.adapters.providers.discover import Discovery
from freehold.app.reload import Hands, Reload, reader, watch
from freehold.core.catalog import Catalog
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig, load_config
from freehold.core.errors import FreeholdError
from freehold.core.servers import ServerSpec

START = """
servers:
  a: {model: a.gguf}
  b: {model: b.gguf, start: always}
models: {fast: [a, b]}
"""


class House:
    """A running Freehold that writes down what is done to it."""

    def __init__(self, folder: Path, text: str = START, listen: str | None = None) -> None:
        self.file = folder / "freehold.yaml"
        self.file.write_text(text)
        self.done: list[str] = []
        self.catalog = Catalog()
        self.refuse = ""
        self.env: dict[str, str] = {"HOME": str(folder)}
        loaded = load_config(self.file, self.env, folder)
        if listen is not None:
            loaded = replace(loaded, config=replace(loaded.config, listen=listen))
        specs = configured_servers(loaded.config, folder, self.env)
        self.servers = {spec.name for spec in specs}
        hands = Hands(
            add=self._add,
            replace=self._replace,
            remove=self._remove,
            start=lambda name: self.done.append(f"start {name}"),
            make_catalog=self._make_catalog,
            use_catalog=self._use_catalog,
            use=lambda config, _: self.done.append(f"{len(config.auth.keys)} keys"),
            use_section=self._use_section,
        )
        read = reader(loaded, self.env, folder, listen)
        self.reload = Reload(loaded.config, specs, read, hands, self.env)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def _add(self, spec: ServerSpec) -> None:
        if spec.name == self.refuse:
            raise FreeholdError("two servers are called so")
        self.servers.add(spec.name)
        self.done.append(f"add {spec.name}")

    async def _replace(self, spec: ServerSpec) -> None:
        self.done.append(f"replace {spec.name}")
        await asyncio.sleep(0)
        if spec.name == self.refuse:
            raise FreeholdError("it does not start")
        self.done.append(f"replaced {spec.name}")

    async def _remove(self, name: str) -> None:
        self.servers.discard(name)
        self.done.append(f"remove {name}")

    async def _use_section(self, key: str, config: Config) -> None:
        if key == self.refuse:
            raise FreeholdError("the disk is full")
        self.done.append(key)

    def _make_catalog(self, config: Config, specs: Sequence[ServerSpec]) -> Catalog:
        return build_catalog(config, Discovery(), specs)

    def _use_catalog(self, catalog: Catalog) -> None:
        asked = {one.server for one in catalog.deployments.values() if one.server}
        assert asked <= self.servers, "a name leads to a server that nobody knows"
        self.catalog = catalog
        self.done.append("catalog")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_an_unchanged_file_changes_nothing(house: House) -> None:
    plan = await house.reload.reload()
    assert (plan.changes, plan.problems, house.done) == ((), (), [])


async def test_one_server_after_the_other_and_what_goes_makes_room_first(house: House) -> None:
    house.write(
        "servers:\n"
        "  b: {model: b.gguf, start: always, slots: 2}\n"
        "  c: {model: c.gguf, start: always}\n"
        "  d: {model: d.gguf}\n"
        "models: {fast: [b, c]}\n"
    )
    plan = await house.reload.reload()
    assert house.done == [
        *("add c", "add d", "catalog", "0 keys"),
        *("remove a", "replace b", "replaced b", "start c"),
    ]
    assert {change.key: change.outcome for change in plan.changes} == {
        "servers.b": "done",
        "servers.c": "done",
        "servers.d": "done",
        "servers.a": "done",
        "models.fast": "done",
    }
    assert (await house.reload.reload()).changes == ()


async def test_a_dry_run_says_the_plan_and_does_nothing(house: House) -> None:
    house.write(START.replace("a.gguf", "other.gguf"))
    plan = await house.reload.reload(dry_run=True)
    assert [(change.key, change.effect, change.outcome) for change in plan.changes] == [
        ("servers.a", "restart", "planned")
    ]
    assert plan.dry_run
    assert house.done == []


async def test_a_broken_file_changes_nothing_and_says_why(house: House) -> None:
    house.write("servers:\n  a: {modle: a.gguf}\n")
    plan = await house.reload.reload()
    assert [(each.line, each.key, each.nearest) for each in plan.problems] == [
        (2, "servers.a.modle", "model")
    ]
    assert (plan.changes, house.done) == ((), [])
    house.write(START)
    assert (await house.reload.reload()).problems == ()


async def test_a_candidate_that_is_nowhere_changes_nothing(house: House) -> None:
    house.write(START.replace("[a, b]", "[a, bb]"))
    plan = await house.reload.reload()
    assert plan.problems[0].nearest == "b"
    assert house.done == []


async def test_a_file_that_is_gone_changes_nothing(house: House) -> None:
    house.file.unlink()
    plan = await house.reload.reload()
    assert "cannot be read" in plan.problems[0].message
    assert house.done == []


async def test_one_server_that_fails_does_not_keep_the_others(house: House) -> None:
    house.refuse = "a"
    house.write(START.replace("{model: a", "{slots: 9, model: a").replace("{model: b", "{slots: 9, model: b"))
    plan = await house.reload.reload()
    assert [(change.server, change.outcome, change.detail) for change in plan.changes] == [
        ("a", "failed", "it does not start"),
        ("b", "done", ""),
    ]


async def test_when_a_new_server_cannot_be_added_none_is(house: House) -> None:
    house.refuse = "d"
    house.write(START.replace("models:", "  c: {model: c}\n  d: {model: d}\nmodels:"))
    plan = await house.reload.reload()
    assert plan.problems[0].key == "servers.d"
    assert house.done == ["add c", "remove c"]
    assert house.servers == {"a", "b"}


async def test_a_server_that_becomes_adopted_is_another_one(house: House) -> None:
    house.write(START.replace("a: {model: a.gguf}", "a: {adopt: 'http://127.0.0.1:8080'}"))
    await house.reload.reload()
    assert house.done == ["catalog", "0 keys", "remove a", "add a"]


async def test_a_server_that_shall_always_run_from_now_on_is_started(house: House) -> None:
    house.write(START.replace("{model: a.gguf}", "{model: a.gguf, start: always}"))
    await house.reload.reload()
    assert house.done == ["catalog", "0 keys", "replace a", "replaced a", "start a"]


async def test_what_needs_a_restart_of_freehold_stays_in_the_plan(house: House) -> None:
    house.write(f"listen: 127.0.0.1:9999\n{START}")
    for _ in range(2):
        (change,) = (await house.reload.reload()).changes
        assert (change.key, change.effect, change.outcome) == ("listen", "restart Freehold", "planned")
    assert house.reload.config.listen == "127.0.0.1:8400"


async def test_the_address_of_the_command_line_stays(tmp_path: Path) -> None:
    house = House(tmp_path, f"listen: 127.0.0.1:9999\n{START}", listen="127.0.0.1:8400")
    assert (await house.reload.reload()).changes == ()
    house.write(f"listen: 127.0.0.1:7777\n{START}")
    assert (await house.reload.reload()).changes == ()


async def test_the_command_lines_address_may_need_a_key_that_the_file_no_longer_has(tmp_path: Path) -> None:
    house = House(tmp_path, f"auth: {{keys: [k]}}\n{START}", listen="0.0.0.0:8400")
    house.write(START)
    plan = await house.reload.reload()
    assert "keys are required" in plan.problems[0].message
    assert house.done == []


async def test_a_variable_in_the_env_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SIZE=1024\n")
    house = House(tmp_path, "servers: {a: {model: a, context: '${SIZE}'}}\n")
    (tmp_path / ".env").write_text("SIZE=2048\n")
    await house.reload.reload()
    assert "replace a" in house.done


async def test_two_reloads_at_once_take_turns(house: House) -> None:
    house.write(START.replace("a.gguf", "other.gguf"))
    first, second = await asyncio.gather(house.reload.reload(), house.reload.reload())
    assert [len(first.changes), len(second.changes)] == [1, 0]


async def test_a_file_that_comes_after_the_start_is_found(tmp_path: Path) -> None:
    read = reader(LoadedConfig(Config()), {"HOME": str(tmp_path)}, tmp_path)
    assert read().config == Config()
    (tmp_path / "freehold.yaml").write_text("discover: false\n")
    assert read().config == Config(discover=False)


# -- the watch


class Looks:
    """Between two looks of the watch, something happens to the file."""

    def __init__(self, *happenings: object) -> None:
        self._happenings = iter(happenings)

    async def __call__(self, _s: float) -> None:
        for happening in self._happenings:
            if callable(happening):
                happening()
            return
        raise asyncio.CancelledError


async def watched(file: Path, *happenings: object) -> int:
    told: list[int] = []

    async def changed() -> None:
        told.append(1)

    with pytest.raises(asyncio.CancelledError):
        await watch(file, changed, sleep=Looks(*happenings))
    return len(told)


async def test_a_change_is_told_once_when_the_writer_is_done(tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("")

    def longer() -> None:
        file.write_text(file.read_text() + "#")

    assert await watched(file, None, None) == 0
    assert await watched(file, longer, longer, longer, None, None, None) == 1
    assert await watched(file, longer, None, longer, None) == 2


async def test_a_file_that_is_replaced_whole_has_changed_and_one_that_is_gone_is_waited_for(
    tmp_path: Path,
) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("a")

    def replaced() -> None:
        part = tmp_path / "part"
        part.write_text("b")
        os.utime(part, ns=(0, 0))  # file systems that count time in ticks would date both alike
        part.replace(file)

    assert await watched(file, file.unlink, None, None) == 0
    file.write_text("a")
    assert await watched(file, file.unlink, None, replaced, None, None) == 1
    assert await watched(file, lambda: (tmp_path / ".env").write_text("A=1"), None, None) == 1


async def test_sections_with_rooms_of_their_own_follow_at_once(house: House) -> None:
    house.write(START + "budgets: [{scope: all, limit_usd: 1}]\ncache: {exact: {}}\nrouting: {explore: 0}\n")
    plan = await house.reload.reload()
    assert [(change.key, change.outcome) for change in plan.changes] == [
        ("routing", "done"),
        ("budgets", "done"),
        ("cache", "done"),
    ]
    assert house.done == ["catalog", "0 keys", "routing", "budgets", "cache"]
    assert (await house.reload.reload()).changes == ()


async def test_a_section_that_cannot_be_taken_up_is_told_and_tried_again(house: House) -> None:
    house.refuse = "budgets"
    house.write(START + "budgets: [{scope: all, limit_usd: 1}]\ncache: {exact: {}}\n")
    plan = await house.reload.reload()
    assert [(change.key, change.outcome, change.detail) for change in plan.changes] == [
        ("budgets", "failed", "the disk is full"),
        ("cache", "done", ""),
    ]
    assert house.reload.config.budgets == ()
    house.refuse = ""
    plan = await house.reload.reload()
    assert [(change.key, change.outcome) for change in plan.changes] == [("budgets", "done")]


async def test_a_change_between_reading_and_the_first_look_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("")
    read = load_config(file, {}, tmp_path)
    file.write_text("discover: false")
    told: list[int] = []

    async def changed() -> None:
        told.append(1)

    with pytest.raises(asyncio.CancelledError):
        await watch(file, changed, read.stamps, sleep=Looks(None, None, None))
    assert told == [1]

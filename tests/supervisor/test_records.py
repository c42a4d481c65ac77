"""What is remembered of loads: cold and warm, over a restart, and never of another model."""

from __future__ import annotations

from pathlib import Path

from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import ServerSpec
from freehold.supervisor.records import Record, Records, after_load

SPEC = ServerSpec(name="a", model="/models/a.gguf")


def test_the_first_load_after_a_boot_is_cold_and_later_ones_are_warm() -> None:
    record = after_load(Record(), 30.0, "boot 1")
    assert (record.cold_s, record.warm_s, record.load_s) == (30.0, None, 30.0)
    record = after_load(after_load(record, 4.0, "boot 1"), 2.0, "boot 1")
    assert (record.cold_s, record.warm_s, record.load_s) == (30.0, 3.0, 3.0)
    record = after_load(record, 20.0, "boot 2")
    assert (record.cold_s, record.warm_s) == (20.0, 3.0)


def test_loads_and_places_outlive_freehold(tmp_path: Path) -> None:
    placement = Placement(need=MemoryNeed(devices=1), gpus=(1,))
    records = Records(tmp_path / "servers" / "records.json")
    records.started(SPEC, placement)
    records.ready(SPEC)
    records.loaded(SPEC, 5.0)
    again = Records(tmp_path / "servers" / "records.json").of(SPEC)
    assert (again.placement, again.ready, again.load_s) == (placement, True, 5.0)


def test_another_model_under_the_same_name_starts_anew(tmp_path: Path) -> None:
    records = Records(tmp_path / "records.json")
    records.loaded(SPEC, 5.0)
    assert records.of(ServerSpec(name="a", model="/models/other.gguf")).load_s is None
    records.forget("a")
    assert records.of(SPEC).load_s is None


def test_a_file_that_cannot_be_read_costs_only_the_memory_of_it(tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text("{]")
    assert Records(tmp_path / "records.json").of(SPEC).load_s is None
    (tmp_path / "file").write_text("where a folder should be")
    Records(tmp_path / "file" / "records.json").loaded(SPEC, 5.0)

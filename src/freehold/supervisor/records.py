"""What is remembered of servers over a restart of Freehold: how long they load, and where they were put."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from freehold.core.memory import Placement
from freehold.core.servers import ServerSpec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NEW_SHARE = 0.5
"""Of the newest warm load in the average."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server. What another model or engine took says nothing about this one."""

    model: str = ""
    engine: str = ""
    boot: str = ""
    """Boot of the machine in which it was loaded last: the next load in another one is cold."""
    cold_s: float | None = None
    """From start to ready, the first time after a boot."""
    warm_s: float | None = None
    """The same later, while its file may be in memory; an average in which newer ones weigh more."""
    placement: Placement | None = None
    """Of the process that runs, or ran last."""
    ready: bool = False
    """That process became ready."""

    @property
    def load_s(self) -> float | None:
        """What the next load will most likely take."""
        return self.cold_s if self.warm_s is None else self.warm_s


def after_load(record: Record, took_s: float, boot: str) -> Record:
    """With one more load measured."""
    if record.boot != boot or record.cold_s is None:
        return msgspec.structs.replace(record, cold_s=took_s, boot=boot)
    warm_s = took_s if record.warm_s is None else record.warm_s + _NEW_SHARE * (took_s - record.warm_s)
    return msgspec.structs.replace(record, warm_s=warm_s)


class Records:
    """One small file, read at the start and written after each load. A file that cannot be read or written
    costs only the memory of it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._records: dict[str, Record] = {}
        with contextlib.suppress(OSError):
            self._boot = _BOOT_ID.read_text().strip()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self._records = msgspec.json.decode(file.read_bytes(), type=dict[str, Record])

    _boot = ""

    def of(self, spec: ServerSpec) -> Record:
        record = self._records.get(spec.name)
        if record is None or (record.model, record.engine) != (spec.model, spec.engine):
            return Record(model=spec.model, engine=spec.engine)
        return record

    def loaded(self, spec: ServerSpec, took_s: float) -> None:
        self._keep(spec.name, after_load(self.of(spec), took_s, self._boot))

    def started(self, spec: ServerSpec, placement: Placement | None) -> None:
        record = msgspec.structs.replace(self.of(spec), placement=placement, ready=False)
        self._keep(spec.name, record)

    def ready(self, spec: ServerSpec) -> None:
        """Its process has become ready."""
        self._keep(spec.name, msgspec.structs.replace(self.of(spec), ready=True))

    def forget(self, name: str) -> None:
        if self._records.pop(name, None) is not None:
            self._write()

    def _keep(self, name: str, record: Record) -> None:
        if self._records.get(name) != record:
            self._records[name] = record
            self._write()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_bytes(msgspec.json.encode(self._records))
            new.replace(self._file)

"""What each server would need in memory, before it runs. Implements `core.memory.Appraiser`.

Reads the model's file (`adapters.engines.model_files`), asks the formulas (`supervisor.memory`), and applies
what engines reported after earlier loads (`supervisor.residuals`), kept in `servers/residuals.json`. May be
used from several threads.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

import msgspec

from freehold.adapters.engines.llamacpp_tools import dry_run
from freehold.adapters.engines.model_files import ModelFiles, model_folder
from freehold.app.engine_builds import EngineBuilds
from freehold.app.shares import share_ways
from freehold.core.errors import FreeholdError
from freehold.core.memory import MachineMemory, MemoryNeed, MemoryPart, Placement, Reserve
from freehold.core.model_file import ModelFile, ModelFileError
from freehold.core.servers import Engine, ServerSpec
from freehold.supervisor import memory
from freehold.supervisor.plan_options import Place, nearest
from freehold.supervisor.plan_view import options_words
from freehold.supervisor.residuals import Residuals, Subject, corrected, learned, rehearsed, run_key
from freehold.supervisor.run_of import flags_of, run_of, with_checkpoints

FILE = "residuals.json"
_MOST_RAW = 4096
_UNKNOWN = {
    "ollama": "Ollama decides itself what it loads, and where",
    "adopt": "it runs already, and is only watched",
    "command": "a command: say what it needs with `memory: {vram: ..., ram: ...}`",
}


class HouseAppraiser:
    """See the module. `engines` are those of the house, by name; `home` is the state folder.
    `pretended_gpus`: the machine is imagined, and its engines can use its GPUs."""

    def __init__(
        self,
        home: Path,
        engines: Mapping[str, Engine],
        env: Mapping[str, str],
        reserve: Reserve | None = None,
        *,
        pretended_gpus: bool = False,
    ) -> None:
        self._file = home / "servers" / FILE
        self._env = env
        self._reserve = reserve or Reserve()
        self._models = ModelFiles()
        self._builds = EngineBuilds(engines, env)
        self._pretended_gpus = pretended_gpus
        self._known = _read(self._file)
        self._raw: OrderedDict[str, MemoryNeed] = OrderedDict()
        """What the formulas said, before corrections, by key of the run: the newest."""
        self._lock = Lock()

    def appraise(self, spec: ServerSpec, machine: MachineMemory) -> tuple[MemoryNeed, ...]:
        """Ways to run it, the fastest first. Raises FreeholdError when the model cannot be read."""
        if spec.vram_bytes is not None or spec.ram_bytes is not None:
            return (_stated(spec),)
        if spec.engine == "llama.cpp":
            return self._llamacpp(spec, self._usable(spec, machine))
        if spec.engine in ("vllm", "sglang"):
            return share_ways(spec, self._usable(spec, machine), self._folder(spec))
        return (MemoryNeed(source="unknown", note=_UNKNOWN.get(spec.engine, "")),)

    def advise(self, spec: ServerSpec, machine: MachineMemory) -> str:
        """For a server that does not fit into what is free of this machine: the nearest change that does, in
        words; empty when there is none. Blocking: tries some settings, up to a second or two."""
        words = options_words(
            nearest(spec, Place(price=self.appraise, machine=machine, reserve=self._reserve))
        )
        return f"it would fit {words}" if words else ""

    def learn(self, spec: ServerSpec, placement: Placement, report: MemoryNeed) -> None:
        """Compare the engine's own report with the estimate, and write it down."""
        if spec.engine != "llama.cpp" or placement.need.source in ("configured", "unknown"):
            return
        try:
            subject = self._subject(spec, self._models.read(Path(spec.model)))
        except FreeholdError:
            return  # the file went away meanwhile: then there is nothing to remember
        with self._lock:
            raw = self._raw.get(run_key(subject, placement.need))
            self._known = learned(self._newest(), subject, placement.need, raw, report)
            _write(self._file, self._known)

    def confirm(self, spec: ServerSpec, machine: MachineMemory) -> None:
        """Have the engine price the fastest way itself, where it can (a second or so) and has not yet."""
        if spec.engine != "llama.cpp" or self._pretended_gpus:
            return
        try:
            way = self.appraise(spec, machine)[0]
            subject = self._subject(spec, self._models.read(Path(spec.model)))
        except FreeholdError:
            return
        tool = self._builds.dry_run_tool(spec)
        if tool is None or way.source != "formula" or run_key(subject, way) in self._known.dry_runs:
            return
        said = dry_run(tool, flags_of(run_of(spec), spec.model, way), _showing(way, machine, self._env))
        with self._lock:
            self._known = rehearsed(self._newest(), subject, way, said)
            _write(self._file, self._known)

    def model(self, spec: ServerSpec) -> ModelFile | None:
        """The model's file as it was read; None where there is none to read. Raises FreeholdError."""
        if spec.engine == "llama.cpp":
            return self._models.read(Path(spec.model))
        return self._folder(spec) if spec.engine in ("vllm", "sglang") else None

    def _llamacpp(self, spec: ServerSpec, machine: MachineMemory) -> tuple[MemoryNeed, ...]:
        model = self._models.read(Path(spec.model))
        if model.is_cut:
            raise ModelFileError(
                f"{Path(spec.model).name} is incomplete ({model.file_bytes:,} of {model.expected_bytes:,} "
                "bytes): fetch it again"
            )
        draft = self._models.read(Path(spec.draft)) if spec.draft else None
        projector = self._models.read(Path(spec.projector)) if spec.projector else None
        vendor = machine.gpus[0].vendor if machine.gpus else "other"
        run = with_checkpoints(model, run_of(spec, vendor, draft, projector))
        found = tuple(
            msgspec.structs.replace(way, checkpoints=run.checkpoints or None)
            for way in memory.ways(model, run, machine, self._reserve)
        )
        subject = self._subject(spec, model)
        with self._lock:
            for way in found:
                self._raw[run_key(subject, way)] = way
                self._raw.move_to_end(run_key(subject, way))
            while len(self._raw) > _MOST_RAW:
                self._raw.popitem(last=False)
            return tuple(corrected(self._known, subject, way) for way in found)

    def _usable(self, spec: ServerSpec, machine: MachineMemory) -> MachineMemory:
        """The machine with those GPUs only that the configuration and the engine's program allow."""
        if not machine.gpus:
            return machine
        allowed = spec.gpus if self._pretended_gpus or self._builds.sees_gpus(spec) else ()
        gpus = tuple(gpu for gpu in machine.gpus if allowed is None or gpu.index in allowed)
        return msgspec.structs.replace(machine, gpus=gpus)

    def _newest(self) -> Residuals:
        """What is known, by the file: another process may have learned something too."""
        return _read(self._file) if self._file.exists() else self._known

    def _folder(self, spec: ServerSpec) -> ModelFile | None:
        folder = model_folder(spec.model, self._env)
        return self._models.read(folder) if folder else None

    def _subject(self, spec: ServerSpec, model: ModelFile) -> Subject:
        setting = (
            *(model.digest, spec.context, spec.slots, spec.kv_type, spec.ubatch, spec.cache_ram_bytes),
            *(spec.draft, spec.projector, spec.args),
        )
        digest = hashlib.sha256(msgspec.json.encode(setting)).hexdigest()[:20]
        return Subject(build=self._builds.build(spec), architecture=model.architecture, setting=digest)


def _stated(spec: ServerSpec) -> MemoryNeed:
    """GPU memory is meant over all GPUs of the server: an equal part on each that is named, else on one."""
    vram, ram = spec.vram_bytes or 0, spec.ram_bytes or 0
    devices = max(1, len(spec.gpus or ())) if vram else 0
    parts = [MemoryPart(what="other", bytes=-(-vram // devices), device=n) for n in range(devices)]
    if ram:
        parts.append(MemoryPart(what="other", bytes=ram))
    return MemoryNeed(
        parts=tuple(parts),
        devices=devices,
        context=spec.context * spec.slots,
        slots=spec.slots,
        source="configured",
        note="as the configuration states it",
    )


def _showing(way: MemoryNeed, machine: MachineMemory, env: Mapping[str, str]) -> dict[str, str]:
    """Our environment, in which a program sees as many GPUs as the way has devices, the emptiest."""
    emptiest = sorted(machine.gpus, key=lambda gpu: (-gpu.free_bytes, gpu.index))[: way.devices]
    shown = ",".join(str(gpu.index) for gpu in emptiest) or "-1"
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
    return {**env, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **dict.fromkeys(names, shown)}


def _read(file: Path) -> Residuals:
    """What an earlier Freehold learned; nothing when there is nothing that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Residuals)
    except (OSError, msgspec.MsgspecError):
        return Residuals()


def _write(file: Path, known: Residuals) -> None:
    """Whole or not at all. A full disk costs a lesson, not the server."""
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_bytes(msgspec.json.encode(known))
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)

"""The memory estimator: `python -m benchmarks memory [--quick] [--no-debian] [--no-loads]`.

Hollow files of 18 models at their true size, against (a) dry runs of the embedded engine, which builds the
server's real graphs, (b) dry runs of Debian's llama.cpp, which also tells weights, and places them on two
devices that the CPU stands in for, (c) real loads of what fits into this machine, one at a time. Peers'
formulas beside ours. Writes only to a temporary folder, `.bench/` and RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.debian_llamacpp import DebianTools
from benchmarks.engine_loads import ask_of, dry_run, load_one
from benchmarks.families import FAMILIES
from benchmarks.memory_peers import PEERS
from benchmarks.memory_report import write
from benchmarks.model_sizes import TRUE
from benchmarks.native import Unusable
from freehold.adapters.engines.model_files import read_model_file
from freehold.core.memory import MemoryNeed, PartName
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory import Run, estimate

_MIB = 1024**2
_LOAD_BYTES = 8 * 1024**3
_SHOWN = frozenset(("weights", "kv", "state", "compute", "output"))
_SPLITS = (
    ("Llama 3.1 8B", 33, (1.0, 1.0), 0),
    ("Llama 3.1 8B", 20, (3.0, 1.0), 0),
    ("Llama 3.1 70B", 81, (2.0, 1.0), 0),
    ("Gemma 3 27B", 63, (1.0, 1.0), 0),
    ("Gemma 3 27B", 40, (1.0, 2.0), 0),
    ("gpt-oss 120B", 37, (1.0, 1.0), 10),
    ("DeepSeek V3", 62, (1.0, 1.0), 50),
    ("Qwen3 Next 80B", 49, (1.0, 3.0), 0),
    ("Qwen3 30B-A3B", 1, (1.0, 1.0), 0),
    ("Mamba2 2.7B", 65, (1.0, 1.0), 0),
)


@dataclass(frozen=True)
class Case:
    """One comparison, in bytes. `said` is the engine's word, `ours` the estimate of the same parts."""

    model: str
    what: str
    said: int
    ours: int
    peers: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def error(self) -> float:
        """Share by which the estimate is too large; negative: too small."""
        return (self.ours - self.said) / self.said if self.said else 0.0


@dataclass
class Findings:
    """Everything one run found out."""

    caches: list[Case] = field(default_factory=list[Case])
    totals: list[Case] = field(default_factory=list[Case])
    graphs: list[Case] = field(default_factory=list[Case])
    weights: list[Case] = field(default_factory=list[Case])
    splits: list[Case] = field(default_factory=list[Case])
    """Weights and caches of each device and of the host, to whole MiB."""
    split_totals: list[Case] = field(default_factory=list[Case])
    loads: list[Case] = field(default_factory=list[Case])
    held: list[Case] = field(default_factory=list[Case])
    """Anonymous memory of the process after a load, against all of ours that is not mapped."""
    missing: list[str] = field(default_factory=list[str])
    dry_s: list[float] = field(default_factory=list[float])
    estimate_s: list[float] = field(default_factory=list[float])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one context, two models; writes no results")
    parser.add_argument("--no-debian", action="store_true", help="without the packages of Debian")
    parser.add_argument("--no-loads", action="store_true", help="without real loads")
    options = parser.parse_args()
    begun, found = time.monotonic(), Findings()
    with tempfile.TemporaryDirectory(prefix="freehold-memory-") as folder:
        names = list(TRUE)[:2] if options.quick else list(TRUE)
        files = {name: _hollow(name, Path(folder)) for name in names}
        models = {name: read_model_file(path) for name, path in files.items()}
        _dry_runs(files, models, found, quick=options.quick)
        if not options.no_debian:
            try:
                _debian(DebianTools(), files, models, found)
            except Unusable as why:
                found.missing.append(f"Debian's tools: {why}")
        if not options.no_loads:
            _loads(files, models, found)
    text = write(found, minutes=(time.monotonic() - begun) / 60, keep=not options.quick)
    print(text)


def _hollow(name: str, folder: Path) -> Path:
    family, size = TRUE[name]
    return FAMILIES[family](size).write(folder / f"{name.replace(' ', '-')}.gguf")


def _runs(*, quick: bool) -> Iterator[Run]:
    """Contexts x slots (apart and shared) x types of cache, and a few other micro-batches."""
    for context in (8192,) if quick else (4096, 32768, 131072):
        for slots, unified in ((1, False), (4, False), (4, True)):
            for kind in ("f16", "q8_0"):
                yield Run(
                    context_total=context,
                    slots=slots,
                    unified_kv=unified,
                    kv_type_k=kind,
                    kv_type_v=kind,
                    repack=False,
                )
    for ubatch in () if quick else (128, 2048):
        yield Run(context_total=32768, slots=2, ubatch=ubatch, repack=False)


def _total(need: MemoryNeed, *kinds: PartName) -> int:
    return sum(part.bytes for part in need.parts if part.what in (kinds or _SHOWN))


def _dry_runs(files: dict[str, Path], models: dict[str, ModelFile], found: Findings, *, quick: bool) -> None:
    """The embedded engine tells caches, graph and output; the weights are those of the estimate."""
    for name, path in files.items():
        for run in _runs(quick=quick):
            before = time.perf_counter()
            said = dry_run(ask_of(path, run))
            between = time.perf_counter()
            need = estimate(models[name], run)
            found.estimate_s.append(time.perf_counter() - between)
            found.dry_s.append(between - before)
            what = _words(run)
            if said is None:
                found.missing.append(f"{name}, {what}: the engine refused")
                continue
            weights = _total(need, "weights")
            peers = {peer: reckon(models[name], run) for peer, reckon in PEERS.items()}
            found.caches.append(Case(name, what, _total(said, "kv", "state"), _total(need, "kv", "state")))
            found.graphs.append(Case(name, what, _total(said, "compute"), _total(need, "compute")))
            found.totals.append(Case(name, what, _total(said) + weights, _total(need), peers))
        print(f"  {name}: {len(list(_runs(quick=quick)))} dry runs", file=sys.stderr, flush=True)


def _words(run: Run) -> str:
    shared = " shared" if run.unified_kv else ""
    return f"{run.context_total} tokens, {run.slots}{shared} slots, {run.kv_type_k}, micro-batch {run.ubatch}"


def _debian(
    tools: DebianTools, files: dict[str, Path], models: dict[str, ModelFile], found: Findings
) -> None:
    for name, path in files.items():
        run = Run(context_total=32768, slots=1, mapped=False, repack=False, outputs=512)
        said = tools.dry_run(path, "-c", "32768", "-np", "1")
        if "Host" not in said:
            found.missing.append(f"{name}: refused by Debian's dry run")
            continue
        need = estimate(models[name], run)
        found.weights.append(Case(name, "host", said["Host"][0], _total(need, "weights")))
    with tools.devices(2) as addresses:
        for name, layers, split, experts in _SPLITS:
            if name in files:
                _split(tools, files[name], models[name], (name, layers, split, experts, addresses), found)


def _split(
    tools: DebianTools,
    path: Path,
    model: ModelFile,
    case: tuple[str, int, tuple[float, float], int, str],
    found: Findings,
) -> None:
    name, layers, split, experts, addresses = case
    flags = ["-c", "32768", "-np", "1", "--rpc", addresses, "-ngl", str(layers)]
    flags += ["-ts", ",".join(f"{share:g}" for share in split)]
    flags += ["-ncmoe", str(experts)] if experts else []
    said = tools.dry_run(path, *flags)
    run = Run(
        context_total=32768,
        gpu_layers=layers,
        devices=2,
        split=split,
        cpu_moe=experts,
        mapped=False,
        repack=False,
        op_offload=False,
        outputs=512,
    )
    need = estimate(model, run)
    what = f"{layers} layers {split[0]:g}:{split[1]:g}" + (
        f", experts of {experts} on the host" if experts else ""
    )
    if not said:
        found.missing.append(f"{name}, {what}: refused by Debian's dry run")
        return
    for device, label in ((0, "RPC0"), (1, "RPC1"), (None, "Host")):
        weights, caches, graph = said.get(label, (0, 0, 0))
        parts = [part for part in need.parts if part.device == device]
        ours = [sum(p.bytes for p in parts if p.what in kinds) for kinds in (("weights",), ("kv", "state"))]
        found.splits.append(Case(name, f"{what}: weights on {label}", weights, ours[0]))
        found.splits.append(Case(name, f"{what}: caches on {label}", caches, ours[1]))
        total = sum(p.bytes for p in parts if p.what in _SHOWN)
        found.split_totals.append(Case(name, f"{what}: {label}", weights + caches + graph, total))


def _loads(files: dict[str, Path], models: dict[str, ModelFile], found: Findings) -> None:
    """Really, with weights of zeros: what the engine says then, and what its process holds."""
    for name, path in files.items():
        for repack in (False, True):
            run = Run(context_total=16384, slots=2, repack=repack)
            need = estimate(models[name], run)
            whole = need.ram_bytes + need.mapped_bytes
            if whole > _LOAD_BYTES or whole > psutil.virtual_memory().available // 2:
                continue
            said, held = load_one(ask_of(path, run))
            if said is None:
                found.missing.append(f"{name}: the engine could not load it")
                continue
            if repack:
                found.held.append(Case(name, "anonymous", held, need.ram_bytes - _total(need, "compute")))
            else:
                found.loads.append(Case(name, "total", _total(said), _total(need)))
                kinds = ("weights", "kv", "state")
                exact = Case(name, "weights and caches", _total(said, *kinds), _total(need, *kinds))
                found.loads.append(exact)
            print(f"  {name}: loaded{' repacked' if repack else ''}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""Asks the embedded llama.cpp what it takes: real loads, and dry runs in which nothing is allocated.

One child process for many models. A dry run of this engine ends in a crash when the server first wants to
compute; by then all sizes are said, so the child is made to wait there and is ended.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from freehold.adapters.engines.llamacpp_report import parse_report
from freehold.core.memory import MemoryNeed
from freehold.supervisor.memory import Run

_SAID = "graph: nodes"
"""The last line about memory."""
_NEXT = "----- next"
_CACHE = "llama_kv_cache: size ="

_CHILD = """
import ctypes, json, os, sys, time
import xllamacpp as x
servers = []
dry = sys.argv[1] == "dry"
if dry:
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    for number in (4, 6, 8, 11):
        libc.signal(number, ctypes.cast(libc.sleep, ctypes.c_void_p))
for line in sys.stdin:
    ask = json.loads(line)
    p = x.CommonParams()
    p.model.path = ask.pop("path")
    p.port, p.fit_params, p.ui, p.warmup, p.verbosity = 0, False, False, False, 4
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    if dry:
        p.no_alloc, p.load_mode = True, x.llama_load_mode.LLAMA_LOAD_MODE_NONE
    for name, value in ask.items():
        if name.startswith("cache_type"):
            value = getattr(x.ggml_type, "GGML_TYPE_" + value.upper())
        if name == "flash_attn_type":
            value = x.llama_flash_attn_type(value)
        setattr(p, name, value)
    try:
        servers.append(x.Server(p))
        status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else "RssAnon: 0"
        print("anonymous memory", status.split("RssAnon:")[1].split()[0], "kB", flush=True)
    except Exception as error:
        print("failed:", error, flush=True)
    print("----- next", flush=True)
time.sleep(0.2)
os._exit(0)
"""

Ask = Mapping[str, str | int | bool]


def ask_of(path: Path, run: Run) -> dict[str, str | int | bool]:
    """`run` in the words of the embedded engine. Devices it has none."""
    return {
        "path": str(path),
        "n_ctx": run.context_total,
        "n_parallel": run.slots,
        "kv_unified": run.unified_kv,
        "cache_type_k": run.kv_type_k,
        "cache_type_v": run.kv_type_v,
        "n_batch": run.batch,
        "n_ubatch": run.ubatch,
        "flash_attn_type": 1 if run.flash else 0,
        "swa_full": run.swa_full,
        "no_extra_bufts": not run.repack,
    }


def load_all(asks: Iterable[Ask], timeout_s: float = 300.0) -> list[MemoryNeed | None]:
    """Loads one model beside the other, and says what the engine said of each. None: it could not load it.
    All stay loaded until the end: for many small ones, or a single large one."""
    asks = list(asks)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, "load"],
        input="".join(json.dumps(ask) + "\n" for ask in asks),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    return [parse_report(lines) for lines in _by_load(done.stdout.splitlines(), len(asks))]


def load_one(ask: Ask, timeout_s: float = 600.0) -> tuple[MemoryNeed | None, int]:
    """One load: what the engine said, and the anonymous memory that its process then held, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, "load"],
        input=json.dumps(ask) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    held = re.search(r"anonymous memory (\d+) kB", done.stdout)
    return parse_report(done.stdout.splitlines()), int(held[1]) * 1024 if held else 0


def _by_load(lines: Sequence[str], count: int) -> list[list[str]]:
    """The log is written by a thread of its own: what begins a load is the engine's own word for it."""
    loads: list[list[str]] = []
    for line in lines:
        if "load_model: loading model '" in line:
            loads.append([])
        if loads:
            loads[-1].append(line)
    return loads + [[] for _ in range(count - len(loads))]


def dry_run(ask: Ask, timeout_s: float = 60.0) -> MemoryNeed | None:
    """What the engine would take, without taking it: some tenths of a second for any size. Weights are not
    told by this engine, the sizes of caches only in its summary lines."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, "dry"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert child.stdin is not None and child.stdout is not None
    lines: list[str] = []
    bound = threading.Timer(timeout_s, child.kill)
    bound.start()
    try:
        child.stdin.write(json.dumps(ask) + "\n")
        child.stdin.close()
        for line in child.stdout:
            lines.append(line)
            if _SAID in line or _NEXT in line or "failed:" in line:
                break
    finally:
        bound.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
    return parse_report(_with_caches(lines))


def _with_caches(lines: Iterable[str]) -> list[str]:
    """In a dry run the cache has buffers of no size, but tells what they would be: said again as a buffer."""
    said: list[str] = []
    for line in lines:
        said.append(line)
        if _CACHE in line:
            mib = line.split(_CACHE)[1].split("MiB")[0].strip()
            said.append(f"CPU KV buffer size = {mib} MiB")
    return said

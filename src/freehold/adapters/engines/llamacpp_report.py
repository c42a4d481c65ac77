"""What llama.cpp says of its memory while it loads: the lines `... buffer size = ... MiB` of its log.

In text (`llama-server -lv 4`, the embedded engine with `verbosity` 4; older builds without being asked) and
in JSON lines (`--log-jsonl`: objects with `msg`). Nothing is said below that level.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from freehold.core.memory import MemoryNeed, MemoryPart, PartName

_BUFFER = re.compile(
    r"(?P<device>[A-Za-z][\w.:]*(?:\[[^\]]*\])?) +(?P<kind>(?:model|KV|RS|compute|output) )?buffer size *= *"
    r"(?P<mib>\d+(?:\.\d+)?) MiB"
)
_NEW_LOAD = re.compile(r"load_model: loading model '")
_CONTEXT = re.compile(r"llama_context: n_ctx +=? *(?P<tokens>\d+)")
_SLOTS = re.compile(r"llama_context: n_seq_max +=? *(?P<slots>\d+)")
_LAYERS = re.compile(r"offloaded (?P<layers>\d+)/\d+ layers to GPU")
_HOST = re.compile(r"CPU|AMX|BLAS|KLEIDIAI|\w+_(?:Host|Mapped|REPACK|AARCH64)\b", re.IGNORECASE)
_KINDS: dict[str, PartName] = {
    "model": "weights",
    "kv": "kv",
    "rs": "state",
    "compute": "compute",
    "output": "output",
}
_MIB = 1024**2
_LONGEST = 4096


def parse_report(lines: Iterable[str]) -> MemoryNeed | None:
    """The buffers of the newest load in this output, added up by kind and device; None when it names none.
    Devices are numbered in the order in which they hold weights. Rounded as the engine rounds: 0.01 MiB."""
    found: dict[tuple[PartName, str | None, bool], int] = {}
    devices: dict[str, None] = {}
    numbers = {"tokens": 0, "slots": 0, "layers": 0}
    for raw in lines:
        line = _text_of(raw)
        if _NEW_LOAD.search(line):
            found.clear()
            devices.clear()
        elif buffer := _BUFFER.search(line):
            _note(buffer, line, found, devices)
        else:
            for pattern in (_CONTEXT, _SLOTS, _LAYERS):
                if said := pattern.search(line):
                    numbers |= {name: int(text) for name, text in said.groupdict().items()}
    if not found:
        return None
    order = {name: n for n, name in enumerate(devices)}
    return MemoryNeed(
        parts=tuple(
            MemoryPart(what=what, bytes=size, device=order[name] if name else None, mapped=mapped)
            for (what, name, mapped), size in found.items()
            if size
        ),
        devices=len(order),
        gpu_layers=numbers["layers"],
        context=numbers["tokens"],
        slots=numbers["slots"],
        source="measured",
    )


def _note(
    buffer: re.Match[str],
    line: str,
    found: dict[tuple[PartName, str | None, bool], int],
    devices: dict[str, None],
) -> None:
    if buffer["kind"] is None and "load_tensors" not in line:
        return  # builds of 2024 said no kind for weights
    kind = (buffer["kind"] or "model").strip().lower()
    name, size = buffer["device"], round(float(buffer["mib"]) * _MIB)
    host = _HOST.match(name) is not None
    if not host:
        devices.setdefault(name)
    key = (_KINDS[kind], None if host else name, host and name.lower().endswith("_mapped"))
    found[key] = found.get(key, 0) + size


def _text_of(raw: str) -> str:
    """The message of a line of JSON; any other line as it is."""
    if not raw.startswith("{"):
        return raw[:_LONGEST]
    try:
        return msgspec.json.decode(raw, type=_LogLine).msg[:_LONGEST]
    except msgspec.MsgspecError:
        return raw[:_LONGEST]


class _LogLine(msgspec.Struct):
    msg: str = ""

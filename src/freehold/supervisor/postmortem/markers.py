"""What engines say of their own end: their words, and what these are worth beside how the process ended.

The words are those of llama.cpp, vLLM, SGLang, Ollama, PyTorch, the dynamic loader, and of Python, Go and
Rust programs. A text alone proves little: it counts in full only when the process ended as such a text would
have it end, and hardly at all when a signal from elsewhere ended it.
"""

from __future__ import annotations

import re
import signal

import msgspec

from freehold.core.deaths import Cause, DeathFacts

_LONGEST_LINE = 600
"""Characters of a line that are read: an engine says what is wrong at its beginning."""
_NEAR_END = 25
_FAR_FROM_END = 15
"""Percent less for words that came long before the end."""
_NOT_FITTING = 35
"""The most that words weigh when the process ended in another way than such words lead to."""
_ENDED_WELL = 45
_EXIT_UNKNOWN = 60


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Words, and what they mean. `{what}` in the texts is the pattern's first group."""

    cause: Cause
    pattern: re.Pattern[str]
    weight: int
    sentence: str
    next: str = ""
    """Empty: the cause's own next step."""
    at_start: bool = False
    """Can only end a server that never became ready."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A marker in the output. `weight` is what it is worth at this death."""

    cause: Cause
    weight: int
    full_weight: int
    line: str
    sentence: str
    next: str


def _marker(cause: Cause, weight: int, pattern: str, sentence: str, next_step: str = "") -> Marker:
    start = cause in {"port-taken", "missing-library", "bad-model", "bad-flag"}
    return Marker(
        cause=cause,
        pattern=re.compile(pattern, re.IGNORECASE),
        weight=weight,
        sentence=sentence,
        next=next_step,
        at_start=start,
    )


_GPU_FULL = "The GPU's memory was full when it asked for more."
_RAM_REFUSED = "The machine refused to give it more memory."
_PORT = "Its port was taken by another program."
_FLAG = "It does not understand its arguments: {what}."
_MODEL = "Its model cannot be loaded: {what}."

MARKERS: tuple[Marker, ...] = (
    # The port.
    _marker("port-taken", 88, r"could ?n.t bind HTTP server socket", _PORT),
    _marker("port-taken", 88, r"address (?:is )?already in use|EADDRINUSE|\[Errno (?:98|48)\]", _PORT),
    # The program and its libraries.
    _marker(
        "missing-library",
        95,
        r"error while loading shared libraries: ([^:\s]+)",
        "The library {what} that it needs is not on this machine.",
    ),
    _marker(
        "missing-library",
        93,
        r"version `?'?((?:GLIBC|GLIBCXX|CXXABI)_[\w.]+)'? not found",
        "It was built for a newer system: this one has no {what}.",
        "Install a build of the engine for this system's C library.",
    ),
    _marker(
        "missing-library",
        92,
        r"symbol lookup error: .*undefined symbol: (\S+)",
        "A library it loads is of another version: {what} is missing in it.",
    ),
    _marker(
        "missing-library",
        92,
        r"ModuleNotFoundError: No module named '?([\w.]+)",
        "The Python module {what} is not installed.",
        "Install {what} into the environment that runs servers.{server}.",
    ),
    _marker(
        "missing-library",
        92,
        r"(?:ImportError|OSError): (lib[\w.+-]+): cannot open shared object",
        "The library {what} that it needs is not on this machine.",
    ),
    _marker(
        "missing-library",
        85,
        r"(CUDA driver version is insufficient|no kernel image is available for execution)",
        "The engine's build does not fit this GPU or its driver ({what}).",
        "Update the GPU's driver, or install a build of the engine that fits it.",
    ),
    _marker(
        "missing-library",
        93,
        r"cannot run (.+?): (?:No such file or directory|not found)",
        "The program {what} is not on this machine.",
        "Install it, or correct its path in servers.{server}.",
    ),
    _marker(
        "missing-library",
        93,
        r"cannot run (.+?): (?:Permission denied|Is a directory)",
        "The program {what} may not be executed.",
        "Make it executable (chmod +x), or correct its path in servers.{server}.",
    ),
    _marker(
        "cpu-unsupported",
        92,
        r"cannot (?:run|execute).*?(Exec format error)",
        "The program is built for another kind of processor ({what}).",
    ),
    _marker(
        "cpu-unsupported",
        88,
        r"((?:CPU|processor) (?:does not|doesn.t) support[^.]*|requires? (?:AVX|SSE)[\w.]*[^.]*)",
        "This processor lacks what the program needs: {what}.",
    ),
    _marker(
        "cpu-unsupported",
        85,
        r"(Fatal Python error: Illegal instruction|SIGILL: illegal instruction)",
        "It used an instruction that this processor does not have.",
    ),
    # Arguments.
    _marker("bad-flag", 93, r"error: (?:invalid|unknown) argument:? *(\S+)", _FLAG),
    _marker("bad-flag", 93, r"error while handling argument (\S+)", _FLAG),
    _marker("bad-flag", 92, r"error: (unrecognized arguments?: .+)", _FLAG),
    _marker("bad-flag", 92, r"error: (argument [^:]+: (?:invalid|expected).+)", _FLAG),
    _marker("bad-flag", 92, r"error: (the following arguments are required: .+)", _FLAG),
    _marker("bad-flag", 92, r"(No such option:? .+|Missing option .+|Invalid value for .+)", _FLAG),
    _marker("bad-flag", 92, r"((?:unknown (?:shorthand )?flag|flag provided but not defined): .+)", _FLAG),
    _marker("bad-flag", 90, r"((?:unrecognized|invalid|illegal) option(?: --)? .+)", _FLAG),
    _marker("bad-flag", 80, r"(cannot assign requested address|could not resolve host)", _FLAG),
    # The model.
    _marker("bad-model", 92, r"cannot read the model file (.+)", "Its model cannot be read: {what}."),
    _marker("bad-model", 92, r"(invalid magic[^,]*|failed to read magic)", _MODEL),
    _marker(
        "bad-model",
        93,
        r"(data is not within the file bounds.*|model is corrupted or incomplete)",
        "Its model file is cut or damaged: {what}.",
        "Fetch the model of servers.{server} again, and compare its size with the publisher's.",
    ),
    _marker(
        "bad-model",
        93,
        r"unknown model architecture: *(\S+)",
        "This build of the engine does not know the model's architecture {what}.",
        "Update the engine, or choose another model for servers.{server}.",
    ),
    _marker("bad-model", 90, r"error loading model: ((?!.*(?:allocat|out of memory)).+)", _MODEL),
    _marker(
        "bad-model", 90, r"failed to open (?:GGUF file|model)[: ]*(.*)", "Its model cannot be opened: {what}."
    ),
    _marker(
        "bad-model",
        90,
        r"(SafetensorError: .+|MetadataIncompleteBuffer|InvalidHeaderDeserialization)",
        _MODEL,
    ),
    _marker("bad-model", 90, r"(\S{1,80} is not a local folder and is not a valid model identifier)", _MODEL),
    _marker("bad-model", 90, r"(does not appear to have a file named \S+)", _MODEL),
    _marker("bad-model", 88, r"(Repository ?Not ?Found.*|gated repo.*|pull model manifest: .*)", _MODEL),
    _marker("bad-model", 88, r"(Model architectures? .* (?:is|are) not supported)", _MODEL),
    _marker("bad-model", 60, r"((?:failed|unable) to load (?:the )?model)", "Its model cannot be loaded."),
    # Disk.
    _marker(
        "disk-full",
        82,
        r"(No space left on device|\[Errno 28\]|ENOSPC|Disk quota exceeded)",
        "The disk is full.",
    ),
    # GPU memory.
    _marker(
        "gpu-oom",
        92,
        r"((?:CUDA|HIP|ROCm) error:? (?:\d+:? )?out of memory|cudaMalloc failed|hipMalloc failed)",
        _GPU_FULL,
    ),
    _marker(
        "gpu-oom", 92, r"((?:torch\.(?:cuda\.)?)?OutOfMemoryError|(?:CUDA|HIP) out of memory)", _GPU_FULL
    ),
    _marker(
        "gpu-oom",
        91,
        r"((?:failed|unable) to allocate (?:CUDA|ROCm|HIP|Vulkan|Metal|SYCL|MUSA|CANN)\w* buffer.*)",
        _GPU_FULL,
    ),
    _marker(
        "gpu-oom",
        91,
        r"(ErrorOutOfDeviceMemory|VK_ERROR_OUT_OF_DEVICE_MEMORY|Device memory allocation .* failed)",
        _GPU_FULL,
    ),
    _marker(
        "gpu-oom",
        91,
        r"(No available memory for the cache blocks|Free memory on device .* is less than desired|"
        r"is larger than the (?:available KV cache memory|maximum number of tokens that can be stored)|"
        r"Not enough memory\. Please try (?:to increase|increasing) --mem-fraction-static)",
        "The GPU has too little free memory for what it was told to take.",
        "Lower servers.{server}.context, give it more of the GPU (gpu_memory), or free the GPU first.",
    ),
    # Host memory, refused rather than killed for.
    _marker(
        "oom-global",
        65,
        r"((?:failed|unable) to allocate (?:CPU|host)\w* buffer.*|std::bad_alloc|^MemoryError|"
        r"cannot allocate memory|requires more system memory)",
        _RAM_REFUSED,
    ),
    # GPU faults in the engine's words: the kernel's Xid is what proves them.
    _marker(
        "gpu-fault",
        82,
        r"((?:CUDA|HIP|ROCm) error:? .*(?:illegal memory access|unspecified launch failure|"
        r"ECC|launch timed out|misaligned address|device lost|unknown error))",
        "The GPU broke off its work: {what}.",
    ),
    _marker(
        "gpu-fault",
        80,
        r"(ErrorDeviceLost|VK_ERROR_DEVICE_LOST|GPU is lost|Memory access fault by GPU.*)",
        "The GPU broke off its work: {what}.",
    ),
    _marker(
        "gpu-fault",
        55,
        r"(no CUDA-capable device is detected|No HIP GPUs are available)",
        "It finds no GPU any more.",
    ),
    _marker("gpu-fault", 30, r"(NVRM: Xid.*|\bXid\b.*\d+)", "Its output speaks of a GPU error: {what}."),
    _marker("gpu-fault", 70, r"((?:CUDA|HIP|ROCm) error:? .+)", "The GPU's driver refused its work: {what}."),
    # Its own checks.
    _marker("assert", 93, r"(GGML_ASSERT\(.*\).*)", "A check inside the engine failed: {what}."),
    _marker("assert", 91, r"(Assertion [`'].*' failed.*)", "A check inside the engine failed: {what}."),
    _marker("assert", 91, r"(device-side assert triggered)", "A check inside a GPU program failed: {what}."),
    _marker(
        "assert",
        90,
        r"(terminate called after throwing.*|terminating (?:due to|with) uncaught.*)",
        "It ended itself after an error that nothing caught: {what}.",
    ),
    _marker("assert", 88, r"(thread '.*' panicked at.*|^panic: .*)", "It panicked: {what}."),
    _marker("assert", 80, r"^(AssertionError.*)", "A check inside the program failed: {what}."),
    _marker(
        "assert",
        85,
        r"([\w./-]{1,80}\.(?:cpp|cu|c|h|hpp|m):\d+: (?:fatal error|.*abort.*))",
        "The engine gave up: {what}.",
    ),
)
"""In no particular order: the weight decides. At most one hit for each line and cause is used."""


def read_markers(facts: DeathFacts, ended_by: int | None) -> tuple[Hit, ...]:
    """What the last lines say, in their order. `ended_by` is the signal, also one told by a shell."""
    hits: list[Hit] = []
    count = len(facts.last_lines)
    for at, raw in enumerate(facts.last_lines):
        line = raw[:_LONGEST_LINE].strip()
        for marker in MARKERS:
            match = marker.pattern.search(line)
            if match is None:
                continue
            weight = _worth(marker, facts, ended_by)
            if count - at > _NEAR_END:
                weight = max(weight - _FAR_FROM_END, 0)
            hits.append(_hit(marker, match, weight, line, facts.server))
    return tuple(hits)


def _worth(marker: Marker, facts: DeathFacts, ended_by: int | None) -> int:
    """The marker's weight beside this end."""
    weight = marker.weight
    if marker.at_start and facts.was_ready:
        return min(weight, _NOT_FITTING)
    if facts.exit.keeper_lost:
        return min(weight, _EXIT_UNKNOWN)
    if ended_by is None:
        return weight if facts.exit.code else min(weight, _ENDED_WELL)
    if ended_by == signal.SIGABRT:
        return weight
    if ended_by in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
        return max(weight - 30, 0)
    return min(weight, _NOT_FITTING)


def _hit(marker: Marker, match: re.Match[str], weight: int, line: str, server: str) -> Hit:
    what = (match[1] or "" if match.re.groups else "").strip(" \"',;:.")
    what = " ".join(what.split())[:140] or "see its last lines"
    return Hit(
        cause=marker.cause,
        weight=weight,
        full_weight=marker.weight,
        line=" ".join(line.split())[:300],
        sentence=marker.sentence.replace("{what}", what),
        next=marker.next.replace("{server}", server).replace("{what}", what),
    )

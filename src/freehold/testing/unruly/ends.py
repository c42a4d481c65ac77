"""Ways to die, as real as they can be had: the kernel's own faults, real limits, an engine's own words."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_CHUNK = 4 * 1024 * 1024
_ILLEGAL = {"x86_64": b"\x0f\x0b", "aarch64": b"\x00\x00\x00\x00"}
"""`ud2` and `udf #0`: instructions that no processor has."""
_DIVIDE = {"x86_64": b"\x31\xc9\x31\xd2\xb8\x01\x00\x00\x00\xf7\xf1\xc3"}
"""xor ecx,ecx; xor edx,edx; mov eax,1; div ecx; ret"""


def say(text: str) -> None:
    """A line of output that is out even if the next thing is a crash."""
    os.write(2, text.encode() + b"\n")


def segfault() -> None:
    ctypes.string_at(0)


def bus_error() -> None:
    """Reads a mapped file that was cut."""
    with tempfile.TemporaryFile() as file:
        file.truncate(2 * mmap.PAGESIZE)
        mapped = mmap.mmap(file.fileno(), 0)
        file.truncate(0)
        mapped[mmap.PAGESIZE]


def illegal_instruction() -> None:
    _execute(_ILLEGAL, signal.SIGILL)


def arithmetic_error() -> None:
    _execute(_DIVIDE, signal.SIGFPE)


def abort() -> None:
    os.abort()


def assertion() -> None:
    say("/src/ggml/src/ggml.c:3085: GGML_ASSERT(ggml_can_mul_mat(a, b)) failed")
    os.abort()


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang_up_self() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)


def burn_cpu() -> None:
    """Until the kernel's hard limit ends it: a second of processor time more than it has used."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    limit = int(used) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    while True:
        pass


def burn_soft_cpu() -> None:
    """Until SIGXCPU."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1, int(used) + 60))
    while True:
        pass


def missing_library() -> None:
    say(
        "llama-server: error while loading shared libraries: libcudart.so.12: "
        "cannot open shared object file: No such file or directory"
    )
    leave(127)


def bad_flag() -> None:
    say("error: invalid argument: --frobnicate")
    leave(1)


def port_words() -> None:
    say("start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080")
    leave(1)


def cuda_oom() -> None:
    say(
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9216.00 MiB on device 0: "
        "cudaMalloc failed: out of memory"
    )
    say("llama_model_load: error loading model: unable to allocate CUDA0 buffer")
    say("main: exiting due to model loading error")
    leave(1)


def cuda_fault() -> None:
    say("CUDA error: an illegal memory access was encountered")
    say("  current device: 0, in function ggml_backend_cuda_synchronize")
    os.abort()


def xid_words() -> None:
    """Words that look like the kernel's. Anybody can print them."""
    say("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.")
    leave(1)


def traceback() -> None:
    """As a Python server ends over something that only its author understands."""
    say("Traceback (most recent call last):")
    say('  File "serve.py", line 88, in <module>')
    say("    main()")
    say("KeyError: 'rope_scaling'")
    leave(1)


def hang() -> None:
    """Accepts and never answers: the caller stops the rest."""
    while True:
        time.sleep(3_600)


WAYS: dict[str, Callable[[], None]] = {
    "segfault": segfault,
    "bus-error": bus_error,
    "illegal": illegal_instruction,
    "arithmetic": arithmetic_error,
    "abort": abort,
    "assert": assertion,
    "kill": kill_self,
    "hangup": hang_up_self,
    "cpu": burn_cpu,
    "soft-cpu": burn_soft_cpu,
    "missing-library": missing_library,
    "bad-flag": bad_flag,
    "port-words": port_words,
    "cuda-oom": cuda_oom,
    "cuda-fault": cuda_fault,
    "xid-words": xid_words,
    "traceback": traceback,
    "hang": hang,
}


def end(how: str) -> None:
    """Die so. Raises ValueError for a way that is not known."""
    name, _, value = how.partition(":")
    if name == "exit":
        leave(int(value or "1"))
    elif name == "oom":
        take_memory(int(value or "4096"))
        say("all of it was given: no limit ended this process")
        leave(1)
    elif name == "disk":
        fill_disk(Path(value))
    elif name in WAYS:
        WAYS[name]()
    else:
        raise ValueError(f"{how!r} is no way to die")


def leave(code: int) -> NoReturn:
    """End at once, from any thread."""
    sys.stdout.flush()
    os._exit(code)


def take_memory(mib: int) -> list[bytearray]:
    """Memory that is really used, a piece at a time."""
    return [bytearray(b"\x01" * _CHUNK) for _ in range(0, mib * 1024 * 1024, _CHUNK)]


def fill_disk(folder: Path) -> None:
    """Write until there is no room; then end as a server does that cannot write its cache."""
    try:
        with (folder / "unruly.cache").open("wb", buffering=0) as file:
            while True:
                file.write(b"\x01" * _CHUNK)
    except OSError as error:
        say(f"srv  slot_save: cannot write the cache: {error.strerror}")
        leave(1)


def _execute(code: dict[str, bytes], instead: signal.Signals) -> None:
    """Run machine code; where we have none for this processor, send the signal that it would cause."""
    instructions = code.get(platform.machine())
    if instructions is None:
        signal.signal(instead, signal.SIG_DFL)
        os.kill(os.getpid(), instead)
        return
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(instructions)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CFUNCTYPE(None)(address)()

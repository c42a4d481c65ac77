"""Small looks around a dead model server: memory pressure, free memory, its disks, its model's file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from freehold.adapters.host.blind import Blind
from freehold.core.deaths import DiskSeen, ModelSeen
from freehold.core.errors import FreeholdError
from freehold.core.model_file import ModelFile
from freehold.core.quantities import bytes_words

ReadModel = Callable[[Path], ModelFile]
"""Reads a model's header: fast, raises FreeholdError. `adapters.engines` has one."""


class FileState(msgspec.Struct, frozen=True):
    """Enough to tell that a file is not what it was."""

    size_bytes: int
    changed_ns: int
    inode: int


def pressure_avg10(cage: Path | None) -> float:
    """PSI `some` of the cgroup, else of the machine: percent of the last 10 s in which somebody waited for
    memory. See the kernel's accounting/psi.rst. Raises Blind."""
    for path in ([cage / "memory.pressure"] if cage else []) + [Path("/proc/pressure/memory")]:
        try:
            found = parse_pressure(path.read_text(errors="replace"))
        except OSError:
            continue
        if found is not None:
            return found
    raise Blind("this kernel tells no memory pressure; start it with psi=1")


def parse_pressure(text: str) -> float | None:
    """`some avg10=1.23 avg60=... total=...`."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["some"]:
            for word in words[1:]:
                name, _, value = word.partition("=")
                if name == "avg10":
                    try:
                        return float(value)
                    except ValueError:
                        return None
    return None


def free_ram_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """What can be had without swapping (MemAvailable). Raises Blind."""
    try:
        for line in meminfo.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError) as error:
        raise Blind("free memory cannot be read") from error
    raise Blind("this kernel does not tell free memory")


def disks(paths: Iterable[str]) -> tuple[DiskSeen, ...]:
    """The file systems below these folders, each once. Free is what is free to us."""
    found: dict[int, DiskSeen] = {}
    for path in paths:
        try:
            device = os.stat(path).st_dev  # noqa: PTH116 - a number, no path
            space = os.statvfs(path)
        except OSError:
            continue
        blocks = space.f_bfree if os.geteuid() == 0 else space.f_bavail
        found.setdefault(
            device,
            DiskSeen(
                path=path,
                free_bytes=blocks * space.f_frsize,
                total_bytes=space.f_blocks * space.f_frsize,
                # Some file systems (btrfs) have no fixed number of inodes and say 0 of 0.
                free_inodes=space.f_favail if space.f_files else None,
            ),
        )
    return tuple(found.values())


def disks_of(log_folder: str, model_path: str | None) -> tuple[DiskSeen, ...]:
    folders = [log_folder] if log_folder else []
    if model_path:
        path = Path(model_path)
        folders.append(str(path if path.is_dir() else path.parent))
    return disks([*folders, tempfile.gettempdir()])


def file_state(path: str | None) -> FileState | None:
    """None for no file (also a folder, or a name that an engine looks up by itself)."""
    if not path:
        return None
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return FileState(found.st_size, found.st_mtime_ns, found.st_ino) if Path(path).is_file() else None


def model_seen(path: str | None, before: FileState | None, read: ReadModel | None) -> ModelSeen | None:
    """The model's file now, beside what it was when the server started. None when the path names no file of
    this machine (a name that an engine looks up by itself)."""
    if not path:
        return None
    place = Path(path)
    if place.is_dir():
        return _checked(ModelSeen(path=path), place, read)
    now = file_state(path)
    if now is None:
        try:
            gone = not place.exists()
        except OSError as error:
            return ModelSeen(path=path, problem=f"cannot be reached: {error.strerror}")
        if not gone or not (place.is_absolute() or before):
            return None
        problem = "it was taken away while the server ran" if before else ""
        return ModelSeen(path=path, exists=False, problem=problem)
    seen = ModelSeen(path=path, size_bytes=now.size_bytes)
    if before is not None and now != before:
        return msgspec.structs.replace(_checked(seen, place, read), problem=what_changed(before, now))
    return _checked(seen, place, read)


def what_changed(before: FileState, now: FileState) -> str:
    if now.size_bytes < before.size_bytes:
        was, is_now = bytes_words(before.size_bytes), bytes_words(now.size_bytes)
        return f"it was cut from {was} to {is_now} while the server ran"
    return "it was replaced while the server ran" if now.inode != before.inode else "it was written to"


def _checked(seen: ModelSeen, place: Path, read: ReadModel | None) -> ModelSeen:
    if read is None:
        return seen
    try:
        model = read(place)
    except (FreeholdError, OSError) as error:
        return msgspec.structs.replace(seen, problem=str(error)[:300])
    # Of a model in several files, all together.
    return msgspec.structs.replace(
        seen, size_bytes=model.file_bytes or seen.size_bytes, expected_bytes=model.expected_bytes or None
    )

"""Looks at storage: the file systems below the folders that matter, the journal, permissions."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from freehold.adapters.host.facts import AccessFact, DiskFact, JournalFacts
from freehold.core.home import user_dir

JOURNAL_FILES = 10_000
"""More files than any journal has; a bound on how long its size is added up."""

_VIRTUAL = ("vd", "xvd", "loop", "ram", "zram", "nbd")
_OCTAL = re.compile(r"\\([0-7]{3})")


def model_folders(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Folders where models usually lie, whether they exist or not."""
    user = user_dir(env)
    hugging_face = Path(env["HF_HOME"]) if env.get("HF_HOME") else user / ".cache/huggingface"
    ollama = Path(env["OLLAMA_MODELS"]) if env.get("OLLAMA_MODELS") else user / ".ollama/models"
    return (user / "models", hugging_face / "hub", user / ".lmstudio/models", ollama)


def disks(home: Path, models: Iterable[Path], root: Path = Path("/")) -> tuple[DiskFact, ...]:
    """One fact per file system and purpose; a folder that does not exist counts where it would be made."""
    found: list[DiskFact] = []
    seen: set[tuple[str, int]] = set()
    folders = [("state", nearest(home))] + [("models", path) for path in models if path.is_dir()]
    for purpose, path in folders:
        number = path.stat().st_dev
        if (purpose, number) not in seen:
            seen.add((purpose, number))
            found.append(_disk(purpose, path, root))
    return tuple(found)


def nearest(path: Path) -> Path:
    """The path itself, or the first folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def _disk(purpose: str, path: Path, root: Path) -> DiskFact:
    space = shutil.disk_usage(path)
    device, kind = mounted_at(_text(root / "proc/self/mountinfo"), path.resolve())
    number = path.stat().st_dev
    if os.major(number) == 0 and device.startswith("/dev/") and Path(device).exists():
        number = Path(device).stat().st_rdev
    return DiskFact(
        purpose=purpose,
        path=str(path),
        free=space.free,
        total=space.total,
        kind=kind,
        device=device,
        rotational=rotational(os.major(number), os.minor(number), root),
    )


def mounted_at(mountinfo: str, path: Path) -> tuple[str, str]:
    """Source and type of the file system that holds `path`, from the text of /proc/self/mountinfo.

    Field 5 is the mount point (with octal escapes), the two after the lone dash are type and source; the
    longest mount point wins, a later line wins over an earlier one. See proc_pid_mountinfo(5).
    """
    best: tuple[int, str, str] = (-1, "", "")
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not dash or len(fields) < 5 or len(rest) < 2:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best[0]:
            best = (len(point.parts), rest[1], rest[0])
    return best[1], best[2]


def rotational(major: int, minor: int, root: Path) -> bool | None:
    """Whether the disk with that device number spins; a partition asks the disk that it is on.

    None for virtual disks, which claim to spin whatever they stand on.
    """
    block = root / f"sys/dev/block/{major}:{minor}"
    if block.resolve().name.startswith(_VIRTUAL):
        return None
    for folder in (block, block.resolve().parent if block.exists() else block):
        said = _text(folder / "queue/rotational").strip()
        if said in {"0", "1"}:
            return said == "1"
    return None


def journal(root: Path = Path("/")) -> JournalFacts | None:
    """Size of systemd's journal; None where there is none."""
    kept, volatile = root / "var/log/journal", root / "run/log/journal"
    folder = kept if kept.is_dir() else volatile
    if not folder.is_dir():
        return None
    size = 0
    for count, path in enumerate(folder.rglob("*.journal*")):
        if count >= JOURNAL_FILES:
            break
        try:
            # Journals are sparse: what counts is what they occupy.
            size += path.stat().st_blocks * 512
        except OSError:
            continue
    return JournalFacts(size=size, persistent=folder == kept)


def access(home: Path) -> tuple[AccessFact, ...]:
    """The state folder, and what in it holds keys."""
    facts = [_access(home, secret=False)]
    keys = home / "keys"
    if keys.is_dir():
        facts.append(_access(keys, secret=True))
        facts += [_access(path, secret=True) for path in sorted(keys.glob("*.key"))]
    return tuple(facts)


def _access(path: Path, *, secret: bool) -> AccessFact:
    try:
        status = path.stat()
    except FileNotFoundError:
        return AccessFact(path=str(path), mode=None, writable=os.access(nearest(path), os.W_OK))
    return AccessFact(
        path=str(path),
        mode=status.st_mode & 0o777,
        secret=secret,
        ours=status.st_uid == os.geteuid(),
        writable=os.access(path, os.W_OK),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

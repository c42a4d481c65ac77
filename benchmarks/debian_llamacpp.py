"""llama.cpp's own tools from Debian's newest packages, without installing them: unpacked into a folder that
git ignores and run with their own loader. Linux on x86-64 with apt and dpkg; elsewhere there are none.

The package archive is the one that this machine's apt already uses, at another suite.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import free_port
from benchmarks.native import Unusable

FOLDER = Path(__file__).parents[1] / ".bench" / "llamacpp-debian"
_SUITE = "sid"
_PACKAGES = (
    *("llama.cpp-tools", "llama.cpp-tools-extra", "libllama0", "libggml0", "libggml0-backend-rpc"),
    *("libc6", "libgcc-s1", "libstdc++6", "libgomp1", "libssl3t64", "zlib1g", "libzstd1"),
)
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_MIB = 1024**2


class DebianTools:
    """The unpacked tools. Raises `Unusable` when they cannot be had here."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._root = folder / "root"
        if not (self._root / "usr/bin/llama-fit-params").is_file():
            _fetch(folder)
            _unpack(folder)

    def _argv(self, program: str) -> list[str]:
        libraries = self._root / _LIBRARIES
        path = ":".join(str(libraries / part) for part in (".", "llama", "ggml"))
        return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", path, str(self._root / program)]

    def dry_run(self, model: Path, *flags: str) -> dict[str, tuple[int, int, int]]:
        """For each device (and `Host`): bytes of weights, of caches, of the graph; whole MiB, rounded down.
        The graph is for logits of every token. Empty when the tool refused."""
        argv = [*self._argv("usr/bin/llama-fit-params"), "-m", str(model), "--fit-print", "on", "-t", "1"]
        said = subprocess.run(
            [*argv, "-nr", "-fa", "on", *flags], capture_output=True, text=True, timeout=300, check=False
        ).stdout
        found: dict[str, tuple[int, int, int]] = {}
        for line in said.splitlines():
            words = line.split()
            if len(words) == 4 and all(word.isdigit() for word in words[1:]):
                weights, caches, graph = (int(word) * _MIB for word in words[1:])
                found[words[0]] = (weights, caches, graph)
        return found

    @contextlib.contextmanager
    def devices(self, count: int) -> Iterator[str]:
        """Two processes that lend the CPU as devices `RPC0`, `RPC1`; gives the value of `--rpc`."""
        program = "usr/libexec/x86_64-linux-gnu/llama/bin/ggml-rpc-server"
        ports = [free_port() for _ in range(count)]
        running = [
            subprocess.Popen(
                [*self._argv(program), "-H", "127.0.0.1", "-p", str(port), "-t", "1"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for port in ports
        ]
        try:
            time.sleep(2.0)
            yield ",".join(f"127.0.0.1:{port}" for port in ports)
        finally:
            for process in running:
                process.kill()
                process.wait()


def _fetch(folder: Path) -> None:
    if not all(shutil.which(program) for program in ("apt-get", "dpkg")):
        raise Unusable("llama.cpp's tools are taken from Debian packages: there is no apt here")
    shutil.rmtree(folder, ignore_errors=True)
    lists, packages = folder / "lists", folder / "packages"
    (lists / "partial").mkdir(parents=True)
    packages.mkdir()
    (folder / "sources.list").write_text(f"deb {_archive()} {_SUITE} main\n")
    options = [
        *("-o", f"Dir::Etc::sourcelist={folder / 'sources.list'}", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"),
    ]
    _run(["apt-get", *options, "update"], folder)
    _run(["apt-get", *options, "download", *_PACKAGES], packages)


def _archive() -> str:
    """`[options] address` of the archive in this machine's own sources."""
    for file in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        for block in file.read_text().split("\n\n"):
            address = re.search(r"^URIs: *(\S+/debian/?)\s*$", block, re.M)
            if address:
                key = re.search(r"^Signed-By: *(\S+)", block, re.M)
                return f"[signed-by={key[1]}] {address[1]}" if key else address[1]
    listed = Path("/etc/apt/sources.list")
    found = re.search(
        r"^deb +((?:\[.*?\] +)?\S+/debian/?) ", listed.read_text() if listed.is_file() else "", re.M
    )
    if found is None:
        raise Unusable("this machine's apt knows no Debian archive")
    return found[1]


def _unpack(folder: Path) -> None:
    for package in sorted((folder / "packages").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(folder / "root")], folder)
    libraries = folder / "root" / _LIBRARIES
    for backend in sorted(
        libraries.glob("ggml/backends0/*.so")
    ):  # found beside the program, that is the loader
        (libraries / backend.name).symlink_to(backend)


def _run(argv: Sequence[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Unusable(f"{argv[0]} failed: {done.stderr.strip()[-300:]}")

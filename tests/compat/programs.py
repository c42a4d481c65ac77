"""Where programs that we did not write lie once they are fetched, and how they get there.

Everything is under `.compat/`, which git ignores. Fetching needs the package registries (npm, PyPI) and is
done by `python -m tests.compat` only; tests that find nothing there are skipped and say so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tomllib
import venv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / ".compat"
NPM = FETCHED / "npm"
NPM_PACKAGES = {
    "@stdy/cli": "0.22.2",
    "@anthropic-ai/claude-code": "2.1.329",
    "@openai/codex": "0.169.0",
    "opencode-ai": "1.18.33",
}
"""The versions that were tried. `--latest` takes what the registry has today."""

SUITE = FETCHED / "openai-python"
SUITE_SPEC = SUITE / "api_reference" / "openapi.transformed.yml"
SUITE_PARTS = ("tests", "api_reference", "pyproject.toml")
SUITE_PYTHON = FETCHED / "openai-env" / "bin" / "python"
SUITE_NEEDS = (
    "pytest>=9.0.3",
    "pytest-asyncio>=1.4.0",
    "pytest-xdist>=3.6",
    "inline-snapshot",
    "rich",
    "trio",
)


class FetchError(Exception):
    """Something could not be fetched; the message says what to do."""


def program(name: str) -> Path | None:
    """The command of an npm package, or None when it was not fetched."""
    found = NPM / "node_modules" / ".bin" / name
    return found if found.exists() else None


def fetch_npm(*, latest: bool = False) -> None:
    """Raises FetchError."""
    wanted = {name: "latest" if latest else version for name, version in NPM_PACKAGES.items()}
    if not latest and all(_npm_version(name) == version for name, version in wanted.items()):
        return
    NPM.mkdir(parents=True, exist_ok=True)
    packages = [f"{name}@{version}" for name, version in wanted.items()]
    _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(NPM), *packages)


def fetch_suite(repository: Path | None) -> None:
    """openai-python's tests, its description of the API, and an environment with the same version.

    The published archives lack the description, so a clone of the repository is needed the first time.
    Raises FetchError.
    """
    if repository is not None:
        _unpack_repository(repository)
    if not SUITE_SPEC.exists():
        raise FetchError(
            "openai-python's own tests need a clone of its repository: "
            'make compat ARGS="--openai-python FOLDER" (only the first time)'
        )
    version = tomllib.loads((SUITE / "pyproject.toml").read_text())["project"]["version"]
    stamp = SUITE_PYTHON.parents[1] / "openai-version"
    if stamp.exists() and stamp.read_text() == version:
        return
    venv.create(SUITE_PYTHON.parents[1], with_pip=True)
    _run(str(SUITE_PYTHON), "-m", "pip", "install", "-q", f"openai[aiohttp]=={version}", *SUITE_NEEDS)
    stamp.write_text(version)


def _unpack_repository(repository: Path) -> None:
    archive = _run("git", "-C", str(repository), "archive", "HEAD", *SUITE_PARTS)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(SUITE, filter="data")


def _npm_version(name: str) -> str:
    described = NPM / "node_modules" / name / "package.json"
    return json.loads(described.read_text())["version"] if described.exists() else ""


def _run(*command: str) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise FetchError(f"{command[0]} is not installed here") from None
    if done.returncode:
        raise FetchError(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def versions() -> Iterator[str]:
    """What lies there now, for the report."""
    yield f"python {sys.version.split()[0]}"
    for name in NPM_PACKAGES:
        yield f"{name} {_npm_version(name) or 'missing'}"
    if SUITE_SPEC.exists():
        yield (
            "openai-python tests "
            + tomllib.loads((SUITE / "pyproject.toml").read_text())["project"]["version"]
        )

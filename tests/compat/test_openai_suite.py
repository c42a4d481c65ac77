"""openai-python's own API tests: what passes against a strict imitation of the API passes through Freehold.

The upstream is `steady`, which checks every request against OpenAI's description of its API and makes up an
answer that fits it. So a field too many, a header lost or a byte changed shows as a failed test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.compat import programs
from tests.house import House
from tests.wire import free_port

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("openai-suite")]

FORMATS = [
    f"--validator-{part}-{kind}-format=brackets" for part in ("query", "form") for kind in ("array", "object")
]
READY_S = 60.0


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the imitation of OpenAI's API."""
    steady = programs.program("steady")
    if steady is None or not programs.SUITE_PYTHON.exists() or not programs.SUITE_SPEC.exists():
        pytest.skip("openai-python's tests or @stdy/cli are not fetched: make compat")
    port = free_port()
    command = [str(steady), "--host", "127.0.0.1", "-p", str(port), "-q", *FORMATS, str(programs.SUITE_SPEC)]
    log = tmp_path_factory.mktemp("steady") / "log"
    with log.open("wb") as out:  # a group of its own: npm's command starts the real program as its child
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_healthy(f"{url}/_x-steady/health", process, log)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"steady is not ready after {READY_S} s: {log.read_text()}"
        time.sleep(0.1)


def outcomes(base_url: str, report: Path) -> dict[str, str]:
    """Every test of the suite by its id: passed, skipped, or the first line of what went wrong."""
    command = [str(programs.SUITE_PYTHON), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    command += ["--junitxml", str(report), "tests/api_resources"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OPENAI_"))
    }
    environment |= {"TEST_API_BASE_URL": base_url, "DEFER_PYDANTIC_BUILD": "false"}
    done = subprocess.run(
        command,
        cwd=programs.SUITE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert report.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        verdict = "skipped" if case.find("skipped") is not None else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = (
            bad.get("message", "") if bad is not None else verdict
        )
    return found


def test_as_many_pass_through_freehold_as_directly(imitation, tmp_path, capsys):
    provider = {"dialect": "openai", "base_url": imitation, "api_key": "sk-imitation", "models": "*"}
    direct = outcomes(imitation, tmp_path / "direct.xml")
    house = House(tmp_path, {"providers": {"openai": provider | {"responses": True}}})
    try:
        through = outcomes(house.url + "/v1", tmp_path / "through.xml")
        receipts = house.receipts()
    finally:
        house.stop()
    passed = {name for name, verdict in direct.items() if verdict == "passed"}
    lost = {name: through.get(name, "did not run") for name in passed if through.get(name) != "passed"}
    with capsys.disabled():
        kept = len(passed) - len(lost)
        print(f"\nopenai-python: {len(passed)} pass directly, {kept} of them through Freehold")
        for reason, count in Counter(lost.values()).most_common(10):
            print(f"  {count} x {reason[:300]}")
    assert len(passed) > 300
    assert not lost, f"{len(lost)} tests pass directly but not through Freehold: {sorted(lost)[:20]}"
    assert len({receipt.id for receipt in receipts}) == len(receipts) > 300

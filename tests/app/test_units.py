"""Units say what was meant, in systemd's grammar; the real `systemd-analyze` judges where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.app.units import Service, command_line, unit_name, unit_of_freehold, unit_of_server
from freehold.core.servers import Launch, RestartRules, ServerSpec

SERVICE = Service(
    argv=("/usr/bin/env", "up", "--config", "/my folder/50%/a$b.yaml"),
    folder="/tmp",
    env={"PATH": "/bin:/my programs", "A": 'q"u\\o%t'},
    env_file="/my folder/.env",
    memory_high_bytes=95,
    memory_max_bytes=100,
)
SPEC = ServerSpec(
    name="glm 4",
    engine="command",
    env=("HF_TOKEN", "X=1"),
    ram_limit_bytes=4096,
    stop_signal="SIGINT",
    stop_timeout_s=7.5,
    restart=RestartRules(tries=3, interval_s=60.0),
)
LAUNCH = Launch(
    argv=("/usr/bin/env", "--json", '{"a": 1}', "", "50%", "é"), env={"HF_TOKEN": "hf-1", "X": "1"}
)


def test_the_command_is_quoted_so_that_systemd_replaces_nothing() -> None:
    text = unit_of_freehold(SERVICE)
    assert 'ExecStart=/usr/bin/env up --config "/my folder/50%%/a$$b.yaml"\n' in text
    assert 'Environment="A=q\\"u\\\\o%%t"\n' in text
    assert "EnvironmentFile=-/my folder/.env\n" in text
    assert "MemoryHigh=95\nMemoryMax=100\n" in text


def test_a_servers_unit_has_its_limits_and_no_variable_that_is_only_passed_on() -> None:
    text = unit_of_server(SPEC, LAUNCH)
    assert "hf-1" not in text
    for line in (
        "PassEnvironment=HF_TOKEN",
        "Environment=X=1",
        "MemoryMax=4096",
        "KillSignal=SIGINT",
        "TimeoutStopSec=7.5",
        "StartLimitBurst=3",
        "StartLimitIntervalSec=60",
        "Restart=on-failure",
    ):
        assert f"\n{line}\n" in text
    assert unit_name(SPEC.name) == "freehold-glm-4.service"


def test_a_server_that_is_never_started_again_is_not_started_by_systemd_either() -> None:
    spec = ServerSpec(name="a", restart=RestartRules(tries=0))
    assert "\nRestart=no\n" in unit_of_server(spec, LAUNCH)


def judged(*files: Path, runtime: Path) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine")
    ran = subprocess.run(
        [program, "--user", "verify", *map(str, files)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
    )
    # Before systemd 254 this one key is new, which it says and passes over.
    return "".join(line for line in ran.stderr.splitlines(True) if "DelegateSubgroup" not in line)


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    files = tmp_path / "freehold.service", tmp_path / "freehold-glm.service"
    files[0].write_text(unit_of_freehold(SERVICE))
    files[1].write_text(unit_of_server(SPEC, LAUNCH))
    assert judged(*files, runtime=tmp_path) == ""


def unquoted(line: str) -> list[str]:
    """systemd.syntax(7), read the other way: words, quotes with C escapes, `%%` and `$$`."""
    words: list[str] = []
    rest = line
    escapes = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
    while rest:
        word = ""
        if rest.startswith('"'):
            at = 1
            while rest[at] != '"':
                if rest[at] == "\\":
                    at += 1
                    word += escapes[rest[at]]
                else:
                    word += rest[at]
                at += 1
            rest = rest[at + 1 :].lstrip(" ")
        else:
            word, _, rest = rest.partition(" ")
            assert '"' not in word
            assert "\\" not in word
        words.append(word.replace("%%", "%").replace("$$", "$"))
    return words


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12), min_size=1))
def test_every_word_comes_back_as_it_went_in(words: list[str]) -> None:
    line = command_line(words)
    assert "\n" not in line
    assert unquoted(line) == words

"""systemd units as text: of Freehold itself, and of a single model server. Pure.

Grammar and words: systemd.service(5), systemd.exec(5), systemd.resource-control(5), systemd.syntax(7).
Writing them and talking to systemd is `cli.service`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from freehold.core.servers import Launch, ServerSpec

UNIT = "freehold.service"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Freehold as systemd shall run it."""

    argv: tuple[str, ...]
    """The program, absolute, and its arguments."""
    folder: str
    """Working directory: the configuration's folder."""
    env: Mapping[str, str]
    """Variables that it gets; a user's systemd knows nothing of a shell's."""
    env_file: str | None = None
    """`NAME=value` lines, read when it starts; need not exist."""
    memory_high_bytes: int | None = None
    """All of Freehold and its model servers together are slowed down above this, and their page cache is
    taken back."""
    memory_max_bytes: int | None = None
    """Above this the kernel ends the largest of them."""


def unit_of_freehold(service: Service) -> str:
    """A unit for a user's own systemd. Stopping it ends Freehold alone: model servers are Freehold's to stop,
    and live on when they shall (`keep_servers`), or when Freehold has crashed and is started again."""
    return _text(
        {
            "Unit": [
                ("Description", "Freehold: one endpoint over local and cloud models"),
                ("StartLimitIntervalSec", "300"),
                ("StartLimitBurst", "10"),
            ],
            "Service": [
                ("Type", "exec"),
                ("ExecStart", command_line(service.argv)),
                ("ExecReload", "/bin/kill -HUP $MAINPID"),
                ("WorkingDirectory", _path(service.folder)),
                *_environment(service.env),
                *([("EnvironmentFile", f"-{_path(service.env_file)}")] if service.env_file else []),
                ("Restart", "on-failure"),
                ("RestartSec", "2"),
                ("TimeoutStopSec", "120"),
                ("KillMode", "process"),
                ("OOMPolicy", "continue"),
                ("Delegate", "yes"),
                # From systemd 254 on Freehold itself is put below, so that the groups of its servers, which
                # live on, do not keep it from being started again in the one above.
                ("DelegateSubgroup", "control"),
                *_memory(service.memory_high_bytes, service.memory_max_bytes),
                ("LimitNOFILE", "65536"),
                *_SAFE,
            ],
            "Install": [("WantedBy", "default.target")],
        }
    )


def unit_of_server(spec: ServerSpec, launch: Launch) -> str:
    """A unit that runs one model server without Freehold: the same program, options, restarts and limits.

    Variables that `env:` passes on by name stay out of the text and are taken from systemd's own environment.
    """
    passed = [entry for entry in spec.env if "=" not in entry]
    shown = {name: value for name, value in launch.env.items() if name not in passed}
    rules = spec.restart
    return _text(
        {
            "Unit": [
                ("Description", _percent(f"Model server {spec.name} ({spec.engine})")),
                ("StartLimitIntervalSec", f"{rules.interval_s:g}"),
                ("StartLimitBurst", str(max(1, rules.tries))),
            ],
            "Service": [
                ("Type", "exec"),
                ("ExecStart", command_line(launch.argv)),
                *([("WorkingDirectory", _path(launch.cwd))] if launch.cwd else []),
                *_environment(shown),
                *([("PassEnvironment", " ".join(passed))] if passed else []),
                ("Restart", "on-failure" if rules.tries else "no"),
                ("RestartSec", f"{max(1.0, rules.first_delay_s):g}"),
                ("KillSignal", spec.stop_signal),
                ("TimeoutStopSec", f"{spec.stop_timeout_s:g}"),
                ("KillMode", "mixed"),
                ("OOMPolicy", "kill"),
                *_memory(None, spec.ram_limit_bytes),
                *_SAFE,
            ],
            "Install": [("WantedBy", "default.target")],
        }
    )


def unit_name(server: str) -> str:
    """The file name of a server's unit: what systemd does not allow in one becomes `-`."""
    return f"freehold-{re.sub(r'[^A-Za-z0-9:_.@-]', '-', server)}.service"


def command_line(words: Sequence[str]) -> str:
    """`ExecStart=`: each word quoted where it must be, with nothing for systemd to replace."""
    return " ".join(_word(word).replace("$", "$$") for word in words)


_SAFE = [
    ("NoNewPrivileges", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("UMask", "0077"),
]
"""What neither Freehold nor an engine needs, and a GPU does not mind."""


def _environment(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(env.items()):
        yield "Environment", _word(f"{name}={value}")


def _memory(high: int | None, most: int | None) -> Iterator[tuple[str, str]]:
    if high is not None:
        yield "MemoryHigh", str(high)
    if most is not None:
        yield "MemoryMax", str(most)


def _word(text: str) -> str:
    """One word in systemd's quoting: in double quotes with C escapes, unless it is plain."""
    text = _percent(text)
    if re.fullmatch(r"[\w@%+=:,./$^~-]+", text, re.ASCII) and not text.startswith(("-", "@", ":", "+", "!")):
        return text
    if re.fullmatch(r"--?[\w.=,/-]+", text, re.ASCII):
        return text
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(sign, sign) for sign in text) + '"'


def _percent(text: str) -> str:
    """`%` begins a specifier."""
    return text.replace("%", "%%")


def _path(path: str) -> str:
    """Paths as settings are not unquoted: all but line ends may stand in them."""
    return _percent(path.replace("\n", ""))


def _text(sections: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    parts = (
        "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)])
        for name, lines in sections.items()
    )
    return "\n\n".join(parts) + "\n"

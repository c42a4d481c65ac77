"""An address to listen on, as people write it: `HOST:PORT`, IPv6 in brackets."""

from __future__ import annotations

import re

import msgspec

from freehold.core.errors import ConfigError

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:/\[\]@]+)):(?P<port>[0-9]{1,5})")
_LOOPBACK_V4 = re.compile(r"127(?:\.[0-9]{1,3}){3}")


class Listen(msgspec.Struct, frozen=True):
    """`host` without brackets; port 0 means that the system picks a free one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as the start of a URL, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Reads `HOST:PORT`. Raises ConfigError that says which form was expected."""
    found = _HOST_PORT.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:
        raise ConfigError(
            "expected HOST:PORT with a port from 0 to 65535, for example 127.0.0.1:8400 or [::1]:8400",
            key="listen",
        )
    return Listen(found["six"] or found["host"], int(found["port"]))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address on `host`."""
    return host.lower() in {"localhost", "::1"} or _LOOPBACK_V4.fullmatch(host) is not None

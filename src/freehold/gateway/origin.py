"""Where upstream connections go. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """Where connections go: `tls` over `host`:`port`; `authority` for the Host header."""

    host: str
    port: int
    tls: bool
    authority: bytes

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an http or https URL. Raises ValueError on anything else."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http(s) URL: {url}")
        tls = parts.scheme == "https"
        authority = parts.netloc.rpartition("@")[2].encode()
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, authority)

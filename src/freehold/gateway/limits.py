"""Bounds on what a client or an upstream may use up. One value, passed in; tests pass small ones."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in seconds."""

    header_bytes: int = 65_536
    header_count: int = 128
    url_bytes: int = 16_384
    body_bytes: int = 64 * 1024 * 1024
    upload_bytes: int = 1024 * 1024 * 1024
    """Bodies that are streamed through (multipart) instead of held."""
    upload_head_bytes: int = 1024 * 1024
    """How much of an upload is held while looking for its `model` field."""
    answer_bytes: int = 64 * 1024 * 1024
    """An upstream answer that must be held whole (translation)."""
    event_bytes: int = 8 * 1024 * 1024
    connections: int = 8192
    header_timeout_s: float = 15.0
    body_timeout_s: float = 30.0
    """Longest pause inside a request body."""
    keep_alive_s: float = 75.0
    connect_timeout_s: float = 5.0
    load_wait_s: float = 3600.0
    """Last bound on a wait for a model server; its own comes first."""
    sign_of_life_s: float = 5.0
    first_sign_s: float = 0.5
    idle_upstream_s: float = 30.0
    """A pooled connection that was unused for longer is not used again."""
    write_high_water: int = 256 * 1024
    """Bytes waiting for a slow reader before its upstream is paused."""

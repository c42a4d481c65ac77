"""What a request's head must keep to, and what is said where one does not. Pure."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from freehold.core.errors import CallError
from freehold.gateway.endpoints import meant
from freehold.gateway.limits import Limits
from freehold.gateway.request import Request

Fault = tuple[int, str]
"""Status and message."""


def fault_in_head(request: Request, url: bytes, limits: Limits, fed_bytes: int) -> Fault | None:
    """What is wrong with a head. `fed_bytes`: no less than its size. Fills in `target` and `path`."""
    headers, lookup = request.headers, request.lookup
    if fed_bytes > limits.header_bytes and _head_size(headers) > limits.header_bytes:
        return 431, f"request headers exceed {limits.header_bytes} bytes"
    if len(headers) > limits.header_count:
        return 431, f"more than {limits.header_count} request headers"
    if len(url) > limits.url_bytes:
        return 414, f"the URL exceeds {limits.url_bytes} bytes"
    if len(lookup) != len(headers):
        names = [name for name, _ in headers]
        for name in (b"host", b"transfer-encoding", b"authorization", b"x-api-key"):
            if names.count(name) > 1:
                return 400, f"header {name.decode()} stands more than once"
    encoding = lookup.get(b"transfer-encoding")
    if encoding is not None:
        if encoding.strip().lower() != b"chunked":
            return 501, "the only transfer-encoding that is understood is chunked"
        if request.length is not None or request.http10:
            return 400, "transfer-encoding and content-length (or HTTP/1.0) exclude each other"
    if lookup.get(b"expect", b"100-continue").lower() != b"100-continue":
        return 417, "the only expectation that is understood is 100-continue"
    return _split_target(request, url)


def _split_target(request: Request, url: bytes) -> Fault | None:
    """Fill in `target` and `path`; absolute form (RFC 9112 §3.2.2) overrides the Host header."""
    if not url.startswith(b"/"):
        scheme, colon, rest = url.partition(b"://")
        if not colon or scheme.lower() != b"http":
            return 400, "the request target must be a path"
        authority, slash, path = rest.partition(b"/")
        request.lookup[b"host"] = authority
        url = slash + path or b"/"
    written, mark, query = url.partition(b"?")
    path = request.path = meant(written)
    request.target = path + mark + query
    if (b"//" in path or b"." in path or b"%" in path) and not _is_plain(path):
        return 400, "the path has empty or dot segments"
    return None


def _head_size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _is_plain(path: bytes) -> bool:
    """No segment that could climb out of an upstream's base path, encoded or not."""
    segments = unquote_to_bytes(path).split(b"/")[1:]
    return not any(segment in (b".", b"..") for segment in segments) and b"" not in segments[:-1]


def _too_large(message: str) -> CallError:
    return CallError(kind="too_large", status=413, message=message)


def _too_slow(message: str) -> CallError:
    return CallError(kind="timeout", status=408, message=message)


def unreadable(message: str) -> CallError:
    return CallError(kind="invalid_request", status=400, message=message)


BODY_FAULTS = {413: _too_large, 408: _too_slow}
"""Faults found after a sound head: told in the caller's dialect, and recorded."""

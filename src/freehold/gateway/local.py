"""What the gateway answers itself, without a model: health, the lists of models, Ollama's probes. Pure."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

import msgspec

from freehold import __version__
from freehold.core.catalog import Catalog
from freehold.core.errors import CallError
from freehold.dialects.errors import error_body
from freehold.gateway import replies
from freehold.gateway.request import Request
from freehold.routing.choose import NoSuchModel, choose

_EPOCH = "1970-01-01T00:00:00Z"
_LONGEST_LIMIT = 9
"""Digits of `?limit=`; more mean nothing, and thousands would not become a number at all."""
_OLLAMA_VERSION = "0.12.0"
"""Clients that probe an Ollama server want a version that they know; this is the grammar we answer in."""


def health(request: Request, *, well: bool) -> bytes:
    """`GET /health`, without authentication."""
    if request.method not in (b"GET", b"HEAD"):
        return method_not_allowed((b"GET", b"HEAD"))
    body = msgspec.json.encode({"status": "ok" if well else "no_ledger", "version": __version__})
    whole = replies.whole(200 if well else 503, body)
    return _head_only(whole) if request.method == b"HEAD" else whole


def answer(catalog: Catalog, request: Request, now_ms: int) -> bytes | None:
    """The answer to a path of ours, or None when the control application should have it."""
    path, method = request.path, request.method
    if path == b"/" and method == b"HEAD":
        return replies.whole(200, b"")
    if method not in (b"GET", b"HEAD"):
        return None
    whole: bytes | None = None
    if path == b"/v1/models":
        whole = _models(catalog, request, now_ms)
    elif path.startswith(b"/v1/models/"):
        whole = _one_model(catalog, request, now_ms)
    elif path == b"/api/tags":
        whole = replies.whole(200, msgspec.json.encode({"models": [_tag(name) for name in names(catalog)]}))
    elif path == b"/api/version":
        whole = replies.whole(200, msgspec.json.encode({"version": _OLLAMA_VERSION}))
    return _head_only(whole) if whole is not None and method == b"HEAD" else whole


def names(catalog: Catalog) -> list[str]:
    """Everything that a client may ask for: aliases first, then deployments."""
    return list(dict.fromkeys((*catalog.aliases, *catalog.deployments)))


def refusal(request: Request, error: CallError) -> bytes:
    """An error answer to a request that is no model call."""
    dialect = "messages" if b"anthropic-version" in request.lookup else "chat"
    whole = replies.whole(error.status, error_body(error, dialect, ""))
    return _head_only(whole) if request.method == b"HEAD" else whole


def method_not_allowed(allowed: tuple[bytes, ...]) -> bytes:
    listed = b", ".join(allowed)
    error = CallError(
        kind="method_not_allowed", status=405, message=f"this path takes {listed.decode()} only"
    )
    return replies.whole(405, error_body(error, "chat", ""), extra=[(b"allow", listed)])


def _head_only(whole: bytes) -> bytes:
    """What HEAD gets: the length of a body that does not follow."""
    return whole[: whole.index(b"\r\n\r\n") + 4]


def _models(catalog: Catalog, request: Request, now_ms: int) -> bytes:
    query = parse_qs(request.target.partition(b"?")[2].decode("latin-1"))
    found = names(catalog)
    if b"anthropic-version" not in request.lookup:
        listed = {"object": "list", "data": [_openai(catalog, name, now_ms) for name in found]}
        return replies.whole(200, msgspec.json.encode(listed))
    after = query.get("after_id", [""])[0]
    if after in found:
        found = found[found.index(after) + 1 :]
    limit = query.get("limit", ["1000"])[0]
    if not (limit.isdecimal() and len(limit) <= _LONGEST_LIMIT and int(limit)):
        error = CallError(
            kind="invalid_request", status=400, message="limit must be a number from 1 on", param="limit"
        )
        return replies.whole(400, error_body(error, "messages", ""))
    page = found[: int(limit)]
    body = msgspec.json.encode(
        {
            "data": [_anthropic(name) for name in page],
            "first_id": page[0] if page else None,
            "has_more": len(page) < len(found),
            "last_id": page[-1] if page else None,
        }
    )
    return replies.whole(200, body)


def _one_model(catalog: Catalog, request: Request, now_ms: int) -> bytes:
    asked = unquote(request.path[len(b"/v1/models/") :].decode("latin-1"))
    anthropic = b"anthropic-version" in request.lookup
    if isinstance(choose(catalog, asked), NoSuchModel):
        error = CallError(
            kind="not_found",
            status=404,
            code="model_not_found",
            param="model",
            message=f"no model '{asked}' here; GET /v1/models lists what there is",
        )
        return replies.whole(404, error_body(error, "messages" if anthropic else "chat", ""))
    shown = _anthropic(asked) if anthropic else _openai(catalog, asked, now_ms)
    return replies.whole(200, msgspec.json.encode(shown))


def _openai(catalog: Catalog, name: str, now_ms: int) -> dict[str, object]:
    deployment = catalog.deployments.get(name)
    owner = "freehold" if deployment is None else deployment.provider or "freehold"
    return {"id": name, "object": "model", "created": now_ms // 1000, "owned_by": owner}


def _anthropic(name: str) -> dict[str, object]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _EPOCH}


def _tag(name: str) -> dict[str, object]:
    return {
        "name": name,
        "model": name,
        "modified_at": _EPOCH,
        "size": 0,
        "digest": "",
        "details": {
            "format": "",
            "family": "",
            "families": None,
            "parameter_size": "",
            "quantization_level": "",
        },
    }

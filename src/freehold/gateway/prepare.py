"""From a client's request to the upstream's: its head, and its body in the right dialect. Pure."""

from __future__ import annotations

import re

from freehold.core.catalog import Dialect
from freehold.dialects.facts import RequestFacts
from freehold.dialects.forced_tool import one_forced_tool
from freehold.gateway import headers as passing
from freehold.gateway.peek import Peek, ask_for_usage, replace_model, wants_usage
from freehold.gateway.prepared import Prepared
from freehold.gateway.targets import Target, anthropic_defaults, upstream_dialect

OPERATIONS: dict[Dialect, bytes] = {
    "chat": b"/v1/chat/completions",
    "messages": b"/v1/messages",
    "responses": b"/v1/responses",
}


_USAGE_PATHS = (b"/v1/chat/completions", b"/v1/completions")
"""The operations that know `stream_options.include_usage`."""


_LATER_CLAUDE = re.compile(r"claude-[a-z]+-[4-9]")
_LATER_CLAUDE_TOKENS = 32_000
"""Answer limit where the client names none and Anthropic demands one: from the fourth generation on every
Claude allows at least this; older ones 8192 (a client of theirs that wants less says so)."""


def prepare_same(body: bytes, seen: Peek, target: Target, dialect: Dialect, path: bytes) -> Prepared:
    """The client's own bytes, except the model's name and the request for usage."""
    if seen.model is not None and seen.model != target.deployment.model_id:
        body = replace_model(body, seen.model, target.deployment.model_id)
    if target.deployment.server is not None and b'"tool_choice"' in body:
        body = one_forced_tool(body)
    strip = False
    if seen.stream is True and path.startswith(_USAGE_PATHS) and not wants_usage(seen.stream_options):
        asked = ask_for_usage(body, seen.stream_options)
        strip = asked is not body
        body = asked
    return Prepared(body=body, target=path, dialect=dialect, strip_usage=strip)


def prepare_translated(
    body: bytes, target: Target, client: Dialect, *, answer_id: str, created_s: int
) -> Prepared:
    """The request said in the target's dialect. Raises dialects.context.TranslationError."""
    from freehold.dialects.requests import translate_request  # noqa: PLC0415 - only translated calls pay for it

    upstream = upstream_dialect(target, client)
    facts = RequestFacts(
        model=target.deployment.model_id,
        answer_id=answer_id,
        created_s=created_s,
        provider=target.price_id or "",
        same_maker=target.only_maker,
        default_max_tokens=_LATER_CLAUDE_TOKENS if _LATER_CLAUDE.search(target.deployment.model_id) else 8192,
    )
    made = translate_request(body, client=client, upstream=upstream, facts=facts)
    engine = target.deployment.server is not None and b'"tool_choice"' in made.body
    return Prepared(
        body=one_forced_tool(made.body) if engine else made.body,
        target=OPERATIONS[upstream],
        dialect=upstream,
        context=made.context,
        losses=made.losses,
    )


def request_head(
    method: bytes, prepared: Prepared, target: Target, client_lines: bytes, lookup: dict[bytes, bytes]
) -> bytes:
    """The upstream request's head for a body of known length. `client_lines` from `headers.forwarded`."""
    content_type = b"application/json"
    if prepared.context is None:
        content_type = lookup.get(b"content-type", content_type)
    defaults = anthropic_defaults(lookup) if target.anthropic else b""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
        method,
        target.path_of(prepared.target),
        target.origin.authority,
        client_lines,
        target.set_headers,
        defaults,
        content_type,
        len(prepared.body),
    )


def client_lines(
    headers: list[tuple[bytes, bytes]], target: Target, prepared: Prepared, cached: bytes | None
) -> bytes:
    """The client's headers for this target; `cached` is what `headers.forwarded` gave for the same list."""
    if (
        prepared.context is None
        and not target.replaced - {b"authorization", b"x-api-key"}
        and cached is not None
    ):
        return cached
    return passing.forwarded_without(headers, target.replaced, foreign=prepared.context is not None)

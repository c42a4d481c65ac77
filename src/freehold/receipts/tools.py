"""Tool uses as entries of the ledger: what is posted of them, the entry, and back. Pure.

An entry of kind `tool` is no call and costs nothing. Of arguments and results only SHA-256 stand in it: of a
text its UTF-8 bytes, of all else its JSON without white space and with sorted keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from freehold.core.errors import FreeholdError
from freehold.core.half_characters import without_halves
from freehold.receipts.entries import Receipt

TOOL = "tool"
LARGEST_BYTES = 16 * 1024 * 1024
"""Of what is posted: results of tools can be long, and are only hashed."""
_LONGEST_MS = 10**10
_LONGEST_ERROR = 500
_YEARS_MS = 10 * 366 * 86_400_000
_HOUR_MS = 3_600_000

Name = Annotated[str, Meta(max_length=256)]
Hash = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")]


class ToolIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /api/v1/receipts/tool."""

    tool: Annotated[str, Meta(min_length=1, max_length=256)]
    call_id: Name = ""
    """What the model called this use (`toolu_...`, `call_...`). The same one in the same session is recorded
    once, however often it is posted."""
    server: Name = ""
    """The MCP server that has the tool."""
    session: Name = ""
    agent: Name = ""
    project: Name = ""
    task: Name = ""
    started_ms: int | None = None
    """UTC. Without it the use has ended just now."""
    duration_ms: Annotated[float, Meta(ge=0, le=_LONGEST_MS)] | None = None
    ok: bool = True
    error: str = ""
    """What went wrong, in a few words; stands in the receipt."""
    arguments: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    """Any JSON; only its hash is kept. Or the hash itself:"""
    arguments_sha256: Hash = ""
    result: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    result_sha256: Hash = ""
    source: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = "api"
    """Who noticed it: `hook`, `api`."""


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a tool, as it is recorded."""

    tool: str
    call_id: str = ""
    server: str = ""
    session: str = ""
    agent: str = ""
    project: str = ""
    task: str = ""
    started_ms: int
    duration_us: int = 0
    """0 when nobody measured it."""
    ok: bool = True
    error: str = ""
    arguments_sha256: str = ""
    result_sha256: str = ""
    source: str = "api"


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: which receipt a use of a tool has."""

    id: str
    tool: str
    ok: bool
    started_ms: int
    repeated: bool = False
    """It had been recorded before."""


class _Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields in alphabetical order, so that the text is canonical."""

    arguments_sha256: str = ""
    call_id: str = ""
    result_sha256: str = ""
    server: str = ""
    tool: str = ""


def read_tool(raw: bytes, now_ms: int) -> ToolUse:
    """What was posted. Raises FreeholdError, with what is wrong with it."""
    if len(raw) > LARGEST_BYTES:
        raise FreeholdError(f"a tool's receipt has at most {LARGEST_BYTES >> 20} MiB; send hashes instead")
    try:
        return _use(msgspec.json.decode(without_halves(raw), type=ToolIn), now_ms)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FreeholdError(f"that is no use of a tool: {error}") from error


def told_use(facts: Mapping[str, Any], now_ms: int) -> ToolUse:
    """The same of values by the names of `ToolIn`, without `arguments` and `result`. Raises FreeholdError."""
    try:
        return _use(msgspec.convert(facts, ToolIn), now_ms)
    except msgspec.ValidationError as error:
        raise FreeholdError(f"that is no use of a tool: {error}") from error


def _use(told: ToolIn, now_ms: int) -> ToolUse:
    """Raises what reading JSON raises."""
    tool = _printable(told.tool)
    if not tool:
        raise FreeholdError("that is no use of a tool: `tool` is empty; it is the tool's name")
    arguments = told.arguments_sha256 or _hash_of_raw(told.arguments)
    result = told.result_sha256 or _hash_of_raw(told.result)
    error = " ".join(_printable(told.error).split())[:_LONGEST_ERROR]
    duration_ms = told.duration_ms or 0.0
    started_ms = told.started_ms if told.started_ms is not None else now_ms - round(duration_ms)
    return ToolUse(
        tool=tool,
        call_id=_printable(told.call_id),
        server=_printable(told.server),
        session=_printable(told.session),
        agent=_printable(told.agent),
        project=_printable(told.project),
        task=_printable(told.task),
        started_ms=started_ms if now_ms - _YEARS_MS < started_ms < now_ms + _HOUR_MS else now_ms,
        duration_us=round(duration_ms * 1000),
        ok=told.ok and not error,
        error=error or ("" if told.ok else "failed"),
        arguments_sha256=arguments,
        result_sha256=result,
        source=told.source,
    )


def tool_body(use: ToolUse) -> bytes:
    """What to post so that exactly this use is recorded."""
    told = {name: getattr(use, name) for name in use.__struct_fields__ if name != "duration_us"}
    return msgspec.json.encode(told | {"duration_ms": use.duration_us / 1000})


def tool_id(session: str, call_id: str) -> str:
    """The receipt's id of a use that can be recognised: the same for the same use. Needs a `call_id`."""
    both = f"{session}\0{call_id}".encode("utf-8", "replace")
    return f"t{sha256(both).hexdigest()[:32]}"


def tool_receipt(use: ToolUse, receipt_id: str) -> Receipt:
    """The entry of one use."""
    detail = _Detail(
        arguments_sha256=use.arguments_sha256,
        call_id=use.call_id,
        result_sha256=use.result_sha256,
        server=use.server,
        tool=use.tool,
    )
    return Receipt(
        id=receipt_id,
        kind=TOOL,
        agent=use.agent,
        cost_state="free",
        detail=msgspec.json.encode(detail).decode(),
        endpoint=use.source,
        error=use.error,
        outcome="ok" if use.ok else "error",
        project=use.project,
        session=use.session,
        started_ms=use.started_ms,
        task=use.task,
        total_us=use.duration_us,
    )


def tool_of(receipt: Receipt) -> ToolUse | None:
    """What an entry of kind `tool` says; None for all others, and when its detail cannot be read."""
    if receipt.kind != TOOL:
        return None
    try:
        detail = msgspec.json.decode(receipt.detail, type=_Detail)
    except msgspec.MsgspecError:
        return None
    return ToolUse(
        tool=detail.tool,
        call_id=detail.call_id,
        server=detail.server,
        session=receipt.session,
        agent=receipt.agent,
        project=receipt.project,
        task=receipt.task,
        started_ms=receipt.started_ms,
        duration_us=receipt.total_us,
        ok=receipt.outcome == "ok",
        error=receipt.error,
        arguments_sha256=detail.arguments_sha256,
        result_sha256=detail.result_sha256,
        source=receipt.endpoint,
    )


def tool_view(receipt: Receipt, *, repeated: bool = False) -> ToolView:
    """The answer that goes with an entry."""
    use = tool_of(receipt)
    return ToolView(
        id=receipt.id,
        tool=use.tool if use is not None else "",
        ok=receipt.outcome == "ok",
        started_ms=receipt.started_ms,
        repeated=repeated,
    )


def hash_of(value: Any) -> str:
    """SHA-256 (hex) of what a tool was given or gave; empty for nothing. See the module."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return sha256(value.encode("utf-8", "replace")).hexdigest()
    return sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def _hash_of_raw(raw: msgspec.Raw) -> str:
    return hash_of(msgspec.json.decode(raw)) if raw else ""


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()

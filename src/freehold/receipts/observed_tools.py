"""Tool uses that telemetry tells of, as entries of kind `tool`, and back. They cost nothing and are no calls.

Arguments and results stand there as SHA-256 only.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from freehold.core.observed import Observed
from freehold.receipts.entries import Receipt

TOOL = "tool"


class _Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields in alphabetical order, so that the text is canonical."""

    arguments_sha256: str = ""
    call_id: str = ""
    result_sha256: str = ""
    server: str = ""
    tool: str = ""


def tool_receipt(seen: Observed, receipt_id: str, started_ms: int) -> Receipt:
    """The entry of a tool use."""
    detail = _Detail(
        arguments_sha256=_hash(seen.arguments),
        call_id=seen.tool_call_id,
        result_sha256=_hash(seen.result),
        server=seen.tool_server,
        tool=seen.tool,
    )
    return Receipt(
        id=receipt_id,
        kind=TOOL,
        agent=seen.agent,
        cost_state="free",
        detail=msgspec.json.encode(detail).decode(),
        endpoint="otlp",
        error=seen.error,
        outcome="error" if seen.error else "ok",
        project=seen.project,
        session=seen.session,
        started_ms=started_ms,
        task=seen.task,
        total_us=max(0, min(seen.duration_us or 0, 10**13)),
    )


def tool_told(receipt: Receipt) -> tuple[str, str]:
    """The tool's name and the id of its call; empty for other entries and where nobody said."""
    if receipt.kind != TOOL:
        return "", ""
    try:
        detail = msgspec.json.decode(receipt.detail, type=_Detail)
    except msgspec.MsgspecError:
        return "", ""
    return detail.tool, detail.call_id


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest() if text else ""

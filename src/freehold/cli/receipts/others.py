"""Receipts that are no calls, as people read them: uses of tools, and how answers did. Pure."""

from __future__ import annotations

from freehold.cli.wording import clock_time, duration
from freehold.receipts.entries import Receipt
from freehold.receipts.outcomes import OUTCOME, PPM, Said, outcome_of
from freehold.receipts.query import Row
from freehold.receipts.tools import TOOL, ToolUse, tool_of

TOLD_IN_DETAIL = (OUTCOME, TOOL)
"""Kinds of which a row of the database tells too little."""


def other_cells(row: Row, receipt: Receipt, *, wide: bool) -> tuple[object, ...]:
    """A line of the list: `ok | tool Bash | 12 ms`, `score 0.90 | openai/gpt-5-mini`."""
    use, said = tool_of(receipt), outcome_of(receipt)
    took = duration(row.total_us) if row.total_us else ""
    if use is not None:
        how, what, more = "ok" if use.ok else "failed", f"tool {_name(use)}", use.error
    elif said is not None:
        how, what, more = f"score {_score(said)}", said.deployment or said.source, f"of {said.of}"
    else:
        how, what, more = row.outcome, row.kind, ""
    if not wide:
        return row.seq, clock_time(row.started_ms)[5:16], how, what, "", "", "", took
    return row.seq, clock_time(row.started_ms), how, what, more, row.project, "", "", "", took, row.id


def other_facts(index: int, receipt: Receipt) -> list[tuple[str, object]]:
    """What `freehold receipts show` tells of it; nothing for calls."""
    use, said = tool_of(receipt), outcome_of(receipt)
    if use is not None:
        told = _tool(use)
    elif said is not None:
        told = _outcome(said)
    else:
        return []
    return [
        ("receipt", receipt.id),
        ("place in log", index),
        ("time", clock_time(receipt.started_ms)),
        *told,
        ("project", receipt.project),
        ("agent", receipt.agent),
        ("session", receipt.session),
        ("task", receipt.task),
    ]


def _tool(use: ToolUse) -> list[tuple[str, object]]:
    return [
        ("tool", use.tool),
        ("MCP server", use.server),
        ("outcome", "ok" if use.ok else "failed"),
        ("error", use.error),
        ("took", duration(use.duration_us) if use.duration_us else ""),
        ("id of the use", use.call_id),
        ("told by", use.source),
        ("arguments", use.arguments_sha256 and f"SHA-256 {use.arguments_sha256}"),
        ("result", use.result_sha256 and f"SHA-256 {use.result_sha256}"),
    ]


def _outcome(said: Said) -> list[tuple[str, object]]:
    return [
        ("outcome of", said.of),
        ("score", _score(said)),
        ("says", said.source),
        ("note", said.note),
        ("answered by", said.deployment),
    ]


def _name(use: ToolUse) -> str:
    return f"{use.tool} ({use.server})" if use.server else use.tool


def _score(said: Said) -> str:
    return f"{said.score_ppm / PPM:.2f}"

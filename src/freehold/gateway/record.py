"""What a call leaves behind: the facts gathered on its way, made into one receipt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.receipts.entries import CostState, Outcome

TEXT_BYTES_PER_TOKEN = 4
"""For estimates of what nobody reported; marked as such."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Usage and cost as they go into the receipt."""

    usage: Usage = Usage()
    usage_raw: str = ""
    usage_state: Literal["reported", "partial", "estimated", "none"] = "none"
    cost_nanos: int = 0
    own_nanos: int = 0
    """Of the cost, electricity and wear of our own servers: it is paid to nobody."""
    cost_state: CostState = "unknown"
    price_snapshot: str = ""
    price_terms: str = ""


def at_own_cost(measured: Measured, own: Measured) -> Measured:
    """What a server of ours did, at what that cost."""
    return msgspec.structs.replace(
        measured,
        cost_nanos=own.cost_nanos,
        own_nanos=own.own_nanos,
        cost_state=own.cost_state,
        price_snapshot=own.price_snapshot,
    )


DOUBT: tuple[CostState, ...] = ("free", "billed", "computed", "estimated", "unknown")
"""How sure a cost is, the surest first."""


def together(parts: Sequence[Measured]) -> Measured:
    """Several attempts that cost, as one: sums, and the words of the last one about its usage."""
    last = parts[-1]
    return Measured(
        usage=_sum([part.usage for part in parts]),
        usage_raw=last.usage_raw,
        usage_state=last.usage_state,
        cost_nanos=sum([part.cost_nanos for part in parts]),
        own_nanos=sum([part.own_nanos for part in parts]),
        cost_state=max([part.cost_state for part in parts], key=DOUBT.index),
        price_snapshot=next((part.price_snapshot for part in reversed(parts) if part.price_snapshot), ""),
        price_terms=last.price_terms,
    )


def _sum(usages: Sequence[Usage]) -> Usage:
    sums = {name: sum([getattr(usage, name) for usage in usages]) for name in Usage.__struct_fields__}
    return Usage(**sums)


def unfinished_usage(told: Usage, events: int) -> Usage:
    """Of a stream that was cut: its input as told, its output at least by the events that came."""
    return msgspec.structs.replace(told, visible_out=max(told.visible_out, events))


NOTHING_USED = Measured(cost_state="free")
"""For calls that reached no model."""


def estimated_usage(request_bytes: int, events: int) -> Usage:
    """A guess for a stream that was cut before its usage came: prompt by size, one token per event."""
    return Usage(fresh_in=request_bytes // TEXT_BYTES_PER_TOKEN, visible_out=events)


def outcome_of(error: CallError, tries: int) -> Outcome:
    """`refused` when no attempt was made, else `error`."""
    return "error" if tries else "refused"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a call is attributed to, as its headers say."""

    agent: str = ""
    project: str = ""
    session: str = ""
    task: str = ""


def caller_of(headers: dict[bytes, bytes]) -> Caller:
    """Attribution from `x-freehold-*`, and the session ids that agents send by themselves."""
    return Caller(
        agent=text_header(headers, b"x-freehold-agent"),
        project=text_header(headers, b"x-freehold-project"),
        session=session_of(headers),
        task=text_header(headers, b"x-freehold-task"),
    )


_SESSIONS = (b"x-freehold-session", b"x-claude-code-session-id", b"session-id", b"session_id")
"""Ours, then what Claude Code and Codex send by themselves."""


def session_of(headers: dict[bytes, bytes]) -> str:
    """The session that a call belongs to, empty when the client names none."""
    for name in _SESSIONS:
        if name in headers:
            return text_header(headers, name)
    return ""


def text_header(headers: dict[bytes, bytes], name: bytes) -> str:
    """An attribution header's value, bounded, as text."""
    value = headers.get(name)
    return "" if value is None else value[:200].decode("utf-8", "replace")

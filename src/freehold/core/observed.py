"""What telemetry tells of a call or a tool use that others made: one value for all dialects of exporters.

`adapters.telemetry` makes it from spans, logs and metrics, `receipts.observed` makes entries of it.
`CallSpan` and `ToolSpan` are the other way: what of a receipt leaves as a span.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.core.usage import Usage


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One model call, one tool use, or (`passage`) one HTTP request on which a model call travelled.

    A passage makes no entry; its address or its receipt may tell that its parent went through this house.
    Ids are lower-case hex, empty where nobody said. Times are UTC.
    """

    kind: Literal["call", "tool", "passage"]
    service: str = ""
    """`service.name` of whoever exports."""
    exporter: str = ""
    """The instrumentation's own name."""
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    response_id: str = ""
    """The `id` in the answer's body."""
    request_id: str = ""
    """The provider's request id, from a header of its answer."""
    receipt: str = ""
    """`x-freehold-receipt`, where an exporter keeps headers: the call has its entry already."""
    address: str = ""
    """Where the call went, `host` or `host:port`, as the exporter says."""
    provider: str = ""
    """As in `gen_ai.provider.name`."""
    model: str = ""
    model_asked: str = ""
    stream: bool = False
    speed: str = ""
    """The vendor's name for terms with other prices, like Anthropic's `fast`; empty for the usual ones."""
    of_many: bool = False
    """The sums of all calls of a session since `started_ms`: all that a metric tells."""
    repeats: bool = False
    """An event that says less than the span that it belongs to, which may come later."""
    finish: str = ""
    """Why the model ended its answer, in its own word."""
    usage: Usage = Usage()
    usage_raw: str = ""
    """The exporter's own counts, as JSON; empty when it gave none."""
    stated_nanos: int | None = None
    """What the exporter says that it cost, in nano-USD: from a price table of its own, not from a bill."""
    started_ms: int
    duration_us: int | None = None
    """None when nobody measured it."""
    first_byte_us: int = 0
    session: str = ""
    agent: str = ""
    project: str = ""
    task: str = ""
    tool: str = ""
    tool_call_id: str = ""
    tool_server: str = ""
    """The MCP server of the tool."""
    arguments: str = ""
    """Only to be hashed: it stands in no entry."""
    result: str = ""
    """Only to be hashed."""
    arguments_sha256: str = ""
    """Where they are hashed already."""
    result_sha256: str = ""
    error: str = ""
    """Empty when it went well."""

    @property
    def ended_ms(self) -> int:
        return self.started_ms + (self.duration_us or 0) // 1000


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a call, as a span shall tell it. Times in microseconds."""

    deployment: str
    start_us: int
    """After the call's own start."""
    total_us: int
    status: int = 0
    """HTTP; 0 when none came back."""
    error: str = ""


class CallSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One call of this house, as a span shall tell it. Times in microseconds, money in nano-USD."""

    receipt: str
    trace_id: str
    span_id: str
    parent_id: str = ""
    endpoint: str
    provider: str
    server: str = ""
    model: str
    model_asked: str
    deployment: str
    route: str = ""
    stream: bool = False
    started_us: int
    """UTC."""
    total_us: int
    first_byte_us: int = 0
    status: int
    outcome: str
    error: str = ""
    finish: str = ""
    usage: Usage = Usage()
    usage_known: bool = False
    cost_nanos: int = 0
    cost_state: str = "unknown"
    response_id: str = ""
    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""
    cached: str = ""
    """How an answer was known that no model was asked for."""
    address: str = ""
    """`host` or `host:port` of whoever answered, where that is known."""
    request_id: str = ""
    """The provider's, from a header of its answer."""
    tries: tuple[Try, ...] = ()
    """Of each attempt, where there were several."""


class ToolSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a tool that a hook or a program told of, as a span shall tell it."""

    receipt: str
    tool: str
    server: str = ""
    """The MCP server of the tool."""
    call_id: str = ""
    """What the model called this use."""
    started_us: int
    """UTC."""
    total_us: int = 0
    outcome: str
    error: str = ""
    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""

"""The entry that the log keeps for each call and for each death of a model server, and how it is encoded.

Canonical JSON (RFC 8785): keys sorted, no white space, integers only (no floats anywhere, raw
provider objects are kept as strings), so an entry's bytes are a function of its values. Struct fields
stand in alphabetical order, which makes msgspec's plain encoder canonical.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.core.usage import Usage

Outcome = Literal["ok", "error", "refused", "cancelled", "truncated"]
"""ok: answered whole. error: every attempt failed. refused: we said no before any attempt.
cancelled: the client left. truncated: the upstream was cut after the first byte."""

CostState = Literal["billed", "computed", "estimated", "unknown", "free"]
"""Who says so: the provider's own figure, usage x price, a guess, no price known, our own hardware."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one deployment. `status` 0 means that no HTTP status came back."""

    cost_nanos: int = 0
    """Of an answer that was not good enough and was not given to the client; the receipt's sum has it in."""
    deployment: str
    error: str = ""
    first_byte_us: int = 0
    start_us: int = 0
    """Microseconds since the call's start."""
    status: int = 0
    total_us: int = 0
    usage: Usage = Usage()
    """Of such an answer, too; the receipt's sum has it in."""

    @property
    def provider(self) -> str:
        """Who was paid for it: a deployment at a provider is called `PROVIDER/model-id`; "": a server of
        ours."""
        return self.deployment.partition("/")[0] if "/" in self.deployment else ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of one call, complete at the moment in which its answer ends."""

    agent: str = ""
    attempts: tuple[Attempt, ...] = ()
    cached: Literal["", "exact", "semantic", "shared", "resumed"] = ""
    """How an answer was known that no model was asked for: kept (exact, semantic), or another call's, which
    was under way (shared) or had lost its client (resumed)."""
    client_dialect: str = ""
    cost_nanos: int = 0
    """Integer nano-USD (1 USD = 10**9)."""
    cost_state: CostState = "unknown"
    deployment: str = ""
    detail: str = ""
    """What only entries of other kinds than `call` have, as canonical JSON: a death's certificate."""
    endpoint: str = ""
    error: str = ""
    finish: str = ""
    """Why the model ended its answer, in its own word (`stop`, `length`, `end_turn`); of several answers to
    one call, the last one's."""
    first_byte_us: int = 0
    id: str
    kind: str = "call"
    """`call`; or, no calls and without cost: `death` of a model server, `outcome`, use of a `tool`."""
    losses: tuple[str, ...] = ()
    """What a translation between dialects dropped or emulated."""
    model: str = ""
    """The upstream's name of the model that answered."""
    model_asked: str = ""
    """What the client asked for."""
    outcome: Outcome
    price_snapshot: str = ""
    """SHA-256 of the price table used, hex."""
    price_terms: str = ""
    """Other than standard ones, as the answer told them: `service_tier=priority`, `speed=fast`."""
    project: str = ""
    provider: str = ""
    request_bytes: int = 0
    request_commitment: str = ""
    """SHA-256(salt || body), hex; the salt is kept outside the log."""
    response_bytes: int = 0
    response_commitment: str = ""
    response_id: str = ""
    """What the upstream calls its answer (`chatcmpl-...`, `msg_...`, `resp_...`)."""
    route: str = ""
    """Why this deployment was chosen, in words."""
    saved_nanos: int = 0
    """What an answer without a model had cost when a model gave it."""
    server: str = ""
    session: str = ""
    started_ms: int
    status: int = 0
    """HTTP status that the client saw."""
    stream: bool = False
    task: str = ""
    total_us: int = 0
    trace: str = ""
    """`TRACEID-SPANID` of the client's `traceparent`."""
    upstream_dialect: str = ""
    upstream_request_id: str = ""
    usage: Usage = Usage()
    usage_raw: str = ""
    """The provider's usage object, as it stood on the wire."""
    usage_state: Literal["reported", "partial", "estimated", "none"] = "none"
    v: int = 1
    via_key: str = ""
    """Short name of the API key used (never the key)."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """Canonical JSON bytes, without a newline."""
    return _encoder.encode(receipt)


def decode_receipt(entry: bytes) -> Receipt:
    """The inverse of `encode_receipt`. Raises msgspec.DecodeError on foreign bytes."""
    try:
        return _decoder.decode(entry)
    except UnicodeDecodeError as cause:
        raise msgspec.DecodeError(f"the entry is not UTF-8: {cause}") from cause

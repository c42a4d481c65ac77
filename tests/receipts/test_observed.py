"""Entries of what telemetry tells: all that is known, nothing that was said."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from freehold.core.observed import Observed
from freehold.core.usage import Usage
from freehold.receipts.entries import decode_receipt, encode_receipt
from freehold.receipts.observed import Charge, observed_receipt
from freehold.receipts.tools import hash_of, tool_id, tool_of

NOW = 1_767_225_600_000
SEEN = Observed(
    kind="call",
    service="shop",
    exporter="openlit.instrumentation.openai",
    trace_id="0a" * 16,
    span_id="0b" * 8,
    response_id="chatcmpl-1",
    request_id="req_1",
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    model_asked="gpt-4o-mini",
    stream=True,
    usage=Usage(fresh_in=47, cache_read=64, visible_out=12),
    usage_raw='{"gen_ai.usage.input_tokens":111}',
    started_ms=NOW - 5_000,
    duration_us=1_000_000,
    first_byte_us=3_000,
    session="s-1",
    agent="clerk",
    project="site",
    task="review",
)


def test_a_call_is_an_entry_like_ours():
    receipt = observed_receipt(SEEN, Charge(19_050, "computed", "ab" * 32, "openai"), "r-1", NOW)
    assert (receipt.kind, receipt.endpoint, receipt.outcome) == ("call", "otlp", "ok")
    assert (receipt.cost_nanos, receipt.cost_state, receipt.price_snapshot) == (19_050, "computed", "ab" * 32)
    assert (receipt.provider, receipt.deployment) == ("openai", "openai/gpt-4o-mini-2024-07-18")
    assert (receipt.usage, receipt.usage_state, receipt.usage_raw) == (SEEN.usage, "reported", SEEN.usage_raw)
    assert (receipt.trace, receipt.response_id, receipt.upstream_request_id) == (
        "0a" * 16 + "-" + "0b" * 8,
        "chatcmpl-1",
        "req_1",
    )
    assert (receipt.agent, receipt.project, receipt.session, receipt.task) == (
        "clerk",
        "site",
        "s-1",
        "review",
    )
    assert (receipt.started_ms, receipt.total_us, receipt.first_byte_us) == (NOW - 5_000, 1_000_000, 3_000)
    assert receipt.route == "told by openlit.instrumentation.openai"
    assert decode_receipt(encode_receipt(receipt)) == receipt


def test_without_counts_nothing_is_claimed():
    receipt = observed_receipt(msgspec.structs.replace(SEEN, usage_raw=""), Charge(), "r-1", NOW)
    assert (receipt.usage_state, receipt.cost_state) == ("none", "unknown")


def test_a_failed_call_is_an_error():
    receipt = observed_receipt(msgspec.structs.replace(SEEN, error="RateLimitError"), Charge(), "r-1", NOW)
    assert (receipt.outcome, receipt.error) == ("error", "RateLimitError")


def test_without_a_provider_there_is_no_deployment_that_could_be_a_server_of_ours():
    receipt = observed_receipt(msgspec.structs.replace(SEEN, provider=""), Charge(), "r-1", NOW)
    assert (receipt.provider, receipt.deployment) == ("", "")


@pytest.mark.parametrize("started_ms", [0, -5, NOW + 86_400_000, 2**63])
def test_a_time_that_cannot_be_is_taken_as_now(started_ms):
    told = msgspec.structs.replace(SEEN, started_ms=started_ms)
    assert observed_receipt(told, Charge(), "r-1", NOW).started_ms == NOW


def test_sums_of_a_session_say_what_they_are():
    told = msgspec.structs.replace(SEEN, of_many=True)
    assert observed_receipt(told, Charge(), "r-1", NOW).route.startswith("sums of a session")


def test_of_a_tool_use_arguments_and_result_stand_as_hashes_only():
    told = Observed(
        kind="tool",
        tool="Bash",
        tool_call_id="toolu_1",
        arguments='{"command":"cat secret"}',
        result="the secret",
        started_ms=NOW,
        duration_us=26_000,
        agent="claude-code",
    )
    receipt = observed_receipt(told, Charge(), "r-1", NOW)
    assert (receipt.kind, receipt.cost_nanos, receipt.cost_state) == ("tool", 0, "free")
    assert b"secret" not in encode_receipt(receipt)
    use = tool_of(receipt)
    assert use is not None
    assert use.result_sha256 == sha256(b"the secret").hexdigest()
    assert use.arguments_sha256 == hash_of({"command": "cat secret"})  # as a hook would have it


def test_a_tool_use_that_can_be_recognised_has_the_id_that_a_hook_would_give_it():
    told = Observed(
        kind="tool", tool="Bash", session="s-1", tool_call_id="toolu_01AbCdEfGhIj", started_ms=NOW
    )
    assert observed_receipt(told, Charge(), "r-1", NOW).id == tool_id("s-1", "toolu_01AbCdEfGhIj")
    short = msgspec.structs.replace(told, tool_call_id="call_0")
    assert observed_receipt(short, Charge(), "r-1", NOW).id == "r-1"

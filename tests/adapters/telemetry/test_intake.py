"""OTLP/HTTP requests: both encodings tell the same, and what is wrong with one is answered, never raised."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.telemetry import intake
from freehold.adapters.telemetry.intake import MOST_ITEMS, Refused, read_request, success
from freehold.adapters.telemetry.observe import observe
from freehold.adapters.telemetry.signals import LONGEST_TEXT, Batch, LogRecord, Point, Signal, Source, Span
from freehold.adapters.telemetry.wire import blob, fields
from tests.adapters.telemetry import export
from tests.adapters.telemetry.export import JSON, PROTOBUF

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.one_of(words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
found = st.dictionaries(words.filter(bool), values, max_size=4)
times = st.integers(0, 2**63)
sources = st.builds(Source, found, words)
spans = st.builds(
    Span,
    source=sources,
    trace_id=st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex),
    span_id=st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
    parent_id=st.sampled_from(("", "ab" * 8)),
    name=words,
    start_ns=times,
    end_ns=times,
    attributes=found,
    failed=st.booleans(),
    message=words,
    exception=st.sampled_from(("", "openai.RateLimitError")),
)
logs = st.builds(
    LogRecord,
    source=sources,
    trace_id=st.sampled_from(("", "cd" * 16)),
    span_id=st.sampled_from(("", "ef" * 8)),
    name=words.filter(bool),
    time_ns=times.filter(bool),
    attributes=found,
)
points = st.builds(
    Point,
    source=sources,
    metric=words,
    start_ns=times,
    time_ns=times,
    value=st.floats(allow_nan=False, allow_infinity=False),
    delta=st.booleans(),
    attributes=found,
)
batches = st.one_of(
    st.lists(spans, max_size=4).map(lambda items: ("traces", export.of("traces", *items))),
    st.lists(logs, max_size=4).map(lambda items: ("logs", export.of("logs", *items))),
    st.lists(points, max_size=4).map(lambda items: ("metrics", export.of("metrics", *items))),
)
signals = st.sampled_from(("traces", "logs", "metrics"))


def refused(*request: object, **more: int) -> int:
    with pytest.raises(Refused) as caught:
        read_request(*request, **more)  # type: ignore[arg-type]
    return caught.value.answer.status


@given(batches, st.booleans())
def test_both_encodings_say_what_was_written(batch, pack):
    signal, written = batch
    for kind, body in ((PROTOBUF, export.protobuf(written)), (JSON, finite(export.as_json(written)))):
        if body is not None:
            sent, packing = (gzip.compress(body), "gzip") if pack else (body, "")
            assert read_request(signal, sent, kind, packing) == written


def finite(body: bytes) -> bytes | None:
    """JSON has no infinity."""
    return None if b"Infinity" in body else body


@given(signals, st.binary(max_size=300), st.sampled_from((PROTOBUF, JSON, "", "text/plain")), st.booleans())
def test_any_bytes_are_read_or_refused(signal, body, kind, pack):
    try:
        read_request(signal, body, kind, "gzip" if pack else "")
    except Refused as refusal:
        assert refusal.answer.status in (400, 415)


@given(
    signals,
    st.recursive(
        st.none() | st.booleans() | st.integers() | words,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    (
                        "resourceSpans",
                        "scopeSpans",
                        "spans",
                        "resourceLogs",
                        "scopeLogs",
                        "logRecords",
                        "resourceMetrics",
                        "scopeMetrics",
                        "metrics",
                        "sum",
                        "dataPoints",
                        "attributes",
                        "key",
                        "value",
                        "stringValue",
                        "intValue",
                        "traceId",
                        "spanId",
                        "status",
                        "code",
                        "body",
                        "resource",
                        "scope",
                        "name",
                    )
                ),
                inner,
                max_size=4,
            )
        ),
    ),
)
def test_any_json_is_read_or_refused(signal, said):
    try:
        read_request(signal, json.dumps(said).encode(), JSON, "")
    except Refused as refusal:
        assert refusal.answer.status == 400


@given(batches, st.integers(0, 400), st.integers(0, 255))
def test_a_broken_byte_is_read_or_refused(batch, at, byte):
    signal, written = batch
    body = bytearray(export.protobuf(written))
    if body:
        body[at % len(body)] = byte
    try:
        read_request(signal, bytes(body), PROTOBUF, "")
    except Refused as refusal:
        assert refusal.answer.status == 400


@pytest.mark.parametrize("depth", [4, 60, 100_000])
def test_values_within_values_are_bounded(depth):
    value = export.any_value("x")
    for _ in range(min(depth, 400)):
        value = blob(5, blob(1, value))
    record = blob(6, export.text(1, "deep") + blob(2, value))
    body = blob(1, blob(2, blob(2, record)))
    (read,) = read_request("logs", body, PROTOBUF, "").logs
    assert read.attributes == {"deep": "x" if depth == 4 else ""}
    deep = '{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth
    request = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"deep","value":%s}]}]}]}]}'
    if depth == 100_000:
        assert refused("logs", (request % deep).encode(), JSON, "") == 400
    else:
        (read,) = read_request("logs", (request % deep).encode(), JSON, "").logs
        assert read.attributes == {"deep": "x" if depth == 4 else ""}


def test_a_small_request_that_unpacks_to_gigabytes_is_refused_early():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < 100_000
    assert refused("traces", bomb, PROTOBUF, "gzip") == 413


def test_a_request_at_the_limit_is_read_and_one_above_is_not():
    body = export.protobuf(export.of("traces", export.call_span({})))
    assert read_request("traces", body, PROTOBUF, "", largest=len(body)).items == 1
    assert refused("traces", body, PROTOBUF, "", largest=len(body) - 1) == 413


def test_a_request_of_very_many_small_items_is_refused():
    record = blob(2, b"")
    few, many = (blob(1, blob(2, record * count)) for count in (MOST_ITEMS, MOST_ITEMS + 1))
    assert read_request("logs", few, PROTOBUF, "").items == MOST_ITEMS
    assert refused("logs", many, PROTOBUF, "") == 413


MANY = 20_000
ITEMS = blob(1, blob(2, blob(2, b"") * MANY))
SPANS, RECORDS, POINTS, ATTRIBUTES = (
    (head + ",".join(["{}"] * MANY) + tail).encode()
    for head, tail in (
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[', "]}]}]}"),
        ('{"resourceLogs":[{"scopeLogs":[{"logRecords":[', "]}]}]}"),
        ('{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[', "]}}]}]}]}"),
        ('{"resourceSpans":[{"resource":{"attributes":[', "]}}]}"),
    )
)


def peak_of_refusing(signal: Signal, body: bytes, kind: str) -> int:
    """In bytes of memory, beside the request itself."""
    tracemalloc.start()
    try:
        assert refused(signal, body, kind, "") == 413
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        ("traces", ITEMS),
        ("logs", ITEMS),
        ("metrics", ITEMS),
        ("logs", blob(1, blob(2, b"") * MANY)),
        ("metrics", blob(1, blob(2, blob(2, blob(5, blob(1, b"") * MANY))))),
    ],
    ids=["spans", "records", "metrics", "scopes", "points"],
)
def test_too_many_items_are_refused_before_they_are_built(
    signal: Signal, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_ITEMS", 1_000)
    assert peak_of_refusing(signal, body, PROTOBUF) < 25 * MANY


@pytest.mark.parametrize(
    ("signal", "body"), [("logs", RECORDS), ("metrics", POINTS)], ids=["records", "points"]
)
def test_too_many_items_in_json_are_refused_before_they_are_built(
    signal: Signal, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_ITEMS", 1_000)
    assert peak_of_refusing(signal, body, JSON) < 150 * MANY


@pytest.mark.parametrize(
    ("signal", "body"),
    [("traces", SPANS), ("logs", RECORDS), ("metrics", POINTS), ("traces", ATTRIBUTES)],
    ids=["spans", "records", "points", "attributes"],
)
def test_json_of_very_many_objects_is_refused_before_it_is_read(
    signal: Signal, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_MOST_OBJECTS", 1_000)
    assert peak_of_refusing(signal, body, JSON) < 2 * MANY


def test_a_cut_gzip_body_and_other_packings_are_refused():
    whole = gzip.compress(export.protobuf(export.of("traces", export.call_span({}))))
    assert refused("traces", whole[:-9], PROTOBUF, "gzip") == 400
    assert refused("traces", b"x", PROTOBUF, "gzip") == 400
    assert refused("traces", whole, PROTOBUF, "br") == 415


def test_a_gzip_body_in_several_members_is_read_whole():
    whole = export.protobuf(export.of("traces", export.call_span({}), export.call_span({})))
    parts = [gzip.compress(whole[:40]), gzip.compress(b""), gzip.compress(whole[40:]), bytes(512)]
    assert read_request("traces", b"".join(parts), PROTOBUF, "gzip") == read_request(
        "traces", whole, PROTOBUF, ""
    )
    assert refused("traces", b"".join(parts[:-1]) + b"junk", PROTOBUF, "gzip") == 400
    assert refused("traces", b"".join(parts[:2]) + parts[2][:-3], PROTOBUF, "gzip") == 400
    assert refused("traces", gzip.compress(b"") * 100_000, PROTOBUF, "gzip") == 400
    bomb = gzip.compress(bytes(15 << 20)) * 2
    assert refused("traces", bomb, PROTOBUF, "gzip") == 413


def test_spans_without_ids_are_counted_and_left_out():
    good, bad = export.call_span({}), export.call_span({}, trace_id="", span_id="0b")
    zeros = (export.call_span({}, trace_id="0" * 32), export.call_span({}, span_id="0" * 16))
    for kind, write in ((PROTOBUF, export.protobuf), (JSON, export.as_json)):
        batch = read_request("traces", write(export.of("traces", good, bad, *zeros)), kind, "")
        assert (batch.spans, batch.items, batch.rejected) == ((good,), 4, 3)


def test_long_texts_are_not_read():
    prompt = "x" * (LONGEST_TEXT + 1)
    for kind, write in ((PROTOBUF, export.protobuf), (JSON, export.as_json)):
        span = export.call_span({"gen_ai.input.messages": prompt, "model": "m"})
        (read,) = read_request("traces", write(export.of("traces", span)), kind, "").spans
        assert read.attributes == {"gen_ai.input.messages": "", "model": "m"}


def test_half_an_emoji_in_json_is_replaced_and_the_rest_is_read() -> None:
    span = export.call_span({"prompt": "cut \ud83d", "model": "\U0001f600", "count": 5})
    body = export.as_json(export.of("traces", span))
    (read,) = read_request("traces", body, JSON, "").spans
    assert read.attributes == {"prompt": "cut \ufffd", "model": "\U0001f600", "count": 5}


WORDS = "geheim: the prompt was refused"
FAILED = export.call_span(
    {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, failed=True, message=WORDS
)
_SAID = blob(11, export.text(2, "exception") + export.attributes(3, {"exception.message": WORDS}))
_TYPED = export.as_json(export.of("traces", msgspec.structs.replace(FAILED, exception=WORDS)))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PROTOBUF, blob(1, blob(2, blob(2, export.span(FAILED) + _SAID)))),
        (JSON, _TYPED.replace(b"exception.type", b"exception.message")),
    ],
)
def test_of_an_error_that_names_no_type_no_word_is_kept(kind: str, body: bytes) -> None:
    (seen,) = observe(read_request("traces", body, kind, "")).observed
    assert seen.error == "exception"
    assert "geheim" not in str(seen)


def test_nulls_stand_for_nothing():
    for said in ({"resourceSpans": None}, {"resourceSpans": [{"resource": None, "scopeSpans": None}]}):
        assert read_request("traces", json.dumps(said).encode(), JSON, "") == Batch()


def test_a_body_that_is_a_text_names_an_event_that_has_no_name():
    request = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"claude_code.x"}}]}]}]}'
    (read,) = read_request("logs", request.encode(), JSON, "").logs
    assert read.name == "claude_code.x"


def test_answers_are_in_the_encoding_of_the_request():
    plain = success("traces", "protobuf")
    assert (plain.status, plain.content_type, plain.body) == (200, PROTOBUF, b"")
    assert success("traces", "json").body == b"{}"
    partial = msgspec.json.decode(success("logs", "json", 3, "three").body)
    assert partial == {"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "three"}}
    body = success("traces", "protobuf", 3, "three").body
    ((number, at, end),) = fields(body, 0, len(body))
    inner = list(fields(body, at, end))
    assert (number, inner[0], body[inner[1][1] : inner[1][2]]) == (1, (1, 3, 0), b"three")


def test_a_refusal_is_a_status_that_says_what_was_wrong():
    with pytest.raises(Refused) as caught:
        read_request("traces", b"{", JSON, "")
    said = msgspec.json.decode(caught.value.answer.body)
    assert said["code"] == 3
    assert "OTLP traces" in said["message"]
    with pytest.raises(Refused) as caught:
        read_request("traces", b"", "text/plain", "")
    assert caught.value.answer.status == 415

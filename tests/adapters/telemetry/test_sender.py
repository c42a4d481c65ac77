"""The sender against collectors on loopback that take, refuse, hang up and talk nonsense."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest

from freehold.adapters.telemetry.intake import success
from freehold.adapters.telemetry.sender import LONGEST_RETRY_S, Sender, SendOutcome
from tests.adapters.telemetry.collector import TAKEN, collector, refusal

NOW_MS = 1_790_000_000_000


class Clock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_s(self) -> float:
        return NOW_MS / 1000


async def post(url: str, **headers: str) -> SendOutcome:
    sender = Sender(url, headers, timeout_s=5.0, clock=Clock())
    try:
        return await sender.post("traces", b"\x0a\x00", "application/x-protobuf")
    finally:
        sender.close()


def answered(answer: bytes | None, **headers: str) -> SendOutcome:
    async def story() -> SendOutcome:
        async with collector(answer) as it:
            return await post(it.url, **headers)

    return asyncio.run(story())


def test_a_request_arrives_as_it_was_given_under_the_collectors_own_path() -> None:
    async def story() -> None:
        async with collector(TAKEN) as it:
            sender = Sender(it.url + "/otlp/", {"Authorization": "Bearer k", "Content-Type": "mine"})
            outcome = await sender.post("logs", b"\x1f\x8bbody", "application/json", "gzip")
            sender.close()
        assert outcome == SendOutcome(state="sent", status=200)
        line, fields, body = it.requests[0]
        assert line == "POST /otlp/v1/logs HTTP/1.1"
        assert body == b"\x1f\x8bbody"
        assert fields["authorization"] == "Bearer k"
        assert fields["content-type"] == "application/json"
        assert fields["content-encoding"] == "gzip"
        assert fields["host"] == it.url.removeprefix("http://")

    asyncio.run(story())


def test_the_next_request_takes_the_same_connection() -> None:
    async def story() -> None:
        async with collector(TAKEN) as it:
            sender = Sender(it.url)
            for _ in range(3):
                assert (await sender.post("traces", b"x", "application/json")).ok
            sender.close()
        assert (it.connections, len(it.requests)) == (1, 3)

    asyncio.run(story())


def test_a_connection_that_the_collector_closed_meanwhile_costs_nothing() -> None:
    async def story() -> None:
        async with collector(TAKEN) as it:
            it.hang_up_after_answer = True
            sender = Sender(it.url)
            assert (await sender.post("traces", b"1", "application/json")).ok
            await it.gone.wait()
            assert (await sender.post("traces", b"2", "application/json")).ok
            sender.close()
        assert [body for _, _, body in it.requests] == [b"1", b"2"]

    asyncio.run(story())


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_four_refusals_mean_later(status: int) -> None:
    assert answered(refusal(status)).state == "again"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500, 501])
def test_all_others_are_final(status: int) -> None:
    outcome = answered(refusal(status))
    assert (outcome.state, outcome.status) == ("rejected", status)


@pytest.mark.parametrize(
    ("told", "after_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999", LONGEST_RETRY_S),
        (formatdate(NOW_MS / 1000 + 30, usegmt=True), 30.0),
        (formatdate(NOW_MS / 1000 - 30, usegmt=True), 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
    ],
)
def test_the_collector_says_when(told: str, after_s: float | None) -> None:
    assert answered(refusal(503, f"retry-after: {told}")).after_s == after_s


def test_a_refusal_in_words_is_passed_on_without_our_secrets() -> None:
    said = b'{"code": 16, "message": "no such key: Bearer s3cret-key\\nsorry"}'
    outcome = answered(refusal(401, "content-type: application/json", body=said), auth="Bearer s3cret-key")
    assert outcome.words == "it answers 401: no such key: *** sorry"


def taken_in_part(encoding: str) -> bytes:
    said = success("traces", "json" if "json" in encoding else "protobuf", 3, "no name:\nkey-123")
    return refusal(200, f"content-type: {encoding}", body=said.body)


@pytest.mark.parametrize("encoding", ["application/json", "application/x-protobuf"])
def test_what_was_taken_in_part_says_so(encoding: str) -> None:
    outcome = answered(taken_in_part(encoding), key="key-123")
    assert (outcome.state, outcome.words) == ("sent", "no name: ***")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b"\x0a", b"\x0a\x00", b"\xff" * 20, b"\x0a\x02\x10\x01"]
)
@pytest.mark.parametrize("encoding", ["application/json", "application/x-protobuf", "text/html"])
def test_all_other_answers_to_what_was_taken_say_nothing(body: bytes, encoding: str) -> None:
    assert answered(refusal(200, f"content-type: {encoding}", body=body)) == SendOutcome(
        state="sent", status=200
    )


def test_an_answer_in_chunks_after_a_go_on_is_read() -> None:
    answer = (
        b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    assert answered(answer).ok


def test_an_answer_that_ends_with_its_connection_is_read() -> None:
    async def story() -> None:
        async with collector(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfine") as it:
            it.hang_up_after_answer = True
            assert (await post(it.url)).ok

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "the connection broke"),
        (b"220 mail.example ESMTP\r\n", "what answers there does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, "what answers there does not speak HTTP"),
    ],
)
def test_what_is_no_answer_may_be_one_later(answer: bytes | None, words: str) -> None:
    outcome = answered(answer)
    assert outcome.again
    assert outcome.words == words


def test_nobody_there_is_told_in_few_words() -> None:
    async def story() -> SendOutcome:
        async with collector(TAKEN) as it:
            url = it.url
        return await post(url)

    outcome = asyncio.run(story())
    assert outcome.again
    assert outcome.words.startswith("no connection: ")


def test_a_collector_that_says_nothing_is_not_waited_for_without_end() -> None:
    async def story() -> SendOutcome:
        async with collector(b"") as it:
            return await Sender(it.url, timeout_s=0.05).post("traces", b"", "application/json")

    outcome = asyncio.run(story())
    assert (outcome.state, outcome.words) == ("again", "no answer within 0.05 s")

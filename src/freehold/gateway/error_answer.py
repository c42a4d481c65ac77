"""A failed call as an HTTP answer: status, headers, the body in the client's dialect. Settles it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.dialects.errors import error_body
from freehold.gateway import headers as passing
from freehold.gateway import refusals, replies
from freehold.gateway.landing import refused
from freehold.gateway.record import outcome_of
from freehold.gateway.settle import settle

if TYPE_CHECKING:
    from freehold.gateway.bad_answer import BadAnswer
    from freehold.gateway.call import Call

Header = tuple[bytes, bytes]


def answer_error(call: Call, error: CallError) -> None:
    """In our own words."""
    headers = [(b"content-type", replies.JSON_TYPE)]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    flight = refused(call, error, None)
    _answer(call, error, error_body(error, call.dialect, call.id), headers)
    if flight is not None:
        flight.lost(error.message)


def pass_error_on(call: Call, error: CallError, bad: BadAnswer) -> None:
    """In the upstream's own words."""
    flight = refused(call, error, bad)
    _answer(call, error, bad.body, bad.passed_headers)
    if flight is not None:
        flight.lost(error.message)


def _answer(call: Call, error: CallError, body: bytes, headers: list[Header]) -> None:
    status = refusals.status_for(call.dialect, error.status)
    call.status = status
    call.count_response(body)
    settle(call, outcome_of(error, len(call.tries)), refusals.recorded_words(error))
    keep = call.request.complete
    lines = [
        *headers,
        (b"content-length", b"%d" % len(body)),
        (b"x-freehold-receipt", call.id.encode()),
        (b"x-freehold-source", error.source.encode()),
        *_place_lines(call),
    ]
    id_name = b"request-id" if call.dialect == "messages" else b"x-request-id"
    if all(name != id_name for name, _ in headers):
        lines.append((id_name, call.id.encode()))
    if not (keep and call.request.keep_alive):
        lines.append((b"connection", b"close"))
    body = b"" if call.request.method == b"HEAD" else body
    call.conn.write(replies.head(status, lines) + body)
    call.conn.done(keep=keep)


def _place_lines(call: Call) -> list[Header]:
    """Where the last attempt was made, for an error that came after one."""
    if not call.tries:
        return []
    return [
        (b"x-freehold-deployment", passing.safe_value(call.tries[-1].deployment)),
        (b"x-freehold-route", passing.safe_value(call.route)),
    ]

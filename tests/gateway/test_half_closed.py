"""A client that says that it sends nothing more still wants what it has asked for."""

from __future__ import annotations

from tests.gateway.test_connection import plain
from tests.gateway.wires import Answerer, Client


def test_all_requests_that_came_before_the_end_are_answered() -> None:
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain(), plain("/two"))
    client.connection.eof_received()
    answerer.answer()
    assert [request.path for request in answerer.handled] == [b"/one", b"/two"]
    answerer.answer()
    assert client.answers == [(200, b"0"), (200, b"1")]
    assert client.transport.ended == "close"

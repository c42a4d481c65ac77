"""A model server that is not there: real HTTP/1.1 on loopback, speaks every dialect, misbehaves on command.

    with Standin() as upstream:
        upstream.script(Behaviour(status=429, headers={"retry-after": "1"}))
        ...
        seen = upstream.wait_for(1)[0]
        assert seen.header("anthropic-beta") == "x"

What it says is deterministic (no clock, no chance), every request is recorded as it came, and every wait
is an event or a named gate, so that tests need no sleeps. It does not use `freehold.dialects`: the two
check each other. `behaviour` is what it can be told, `records` what it saw, `speech` and the files beside
it what it says, `http1` and `server` the wire.
"""

from freehold.testing.standin.behaviour import DEFAULT_PIECES, Behaviour, ToolCall
from freehold.testing.standin.records import Gate, Seen
from freehold.testing.standin.server import Standin, refused_port

__all__ = ["DEFAULT_PIECES", "Behaviour", "Gate", "Seen", "Standin", "ToolCall", "refused_port"]

"""Where each session was answered last: one bounded table, in memory, owned by who routes.

A session stays with its deployment so that the prompt's cache lives on; whether leaving pays all the same is
decided in `auto`. The same entry tells when a person asks the same thing again.
"""

from __future__ import annotations

from collections import OrderedDict

from freehold.routing.world import Ask, Sticky

SESSIONS = 20_000
AGAIN_S = 300.0
"""The same question within so long, after an answer, means that the answer was not good."""
_TICK_MS = 60_000
"""So far a clock is set back without that anything is forgotten."""
SHORTEST = 16
"""Characters; shorter ones ("go on", "yes") are said again with good reason."""


class Sessions:
    """See the module. Times are Unix milliseconds; `keep_s` is how long a session stays."""

    def __init__(self, keep_s: float, most: int = SESSIONS) -> None:
        self.keep_s = keep_s
        self._most = most
        self._entries: OrderedDict[str, Sticky] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def of(self, session: str, now_ms: int) -> Sticky | None:
        """Where the session is; None when it is nowhere, or was there too long ago."""
        found = self._entries.get(session) if session else None
        if found is None or not -_TICK_MS <= now_ms - found.at_ms <= self.keep_s * 1000:
            return None
        return found

    def stay(self, session: str, entry: Sticky) -> None:
        """The session was answered there. The longest unused go when there are too many."""
        if not session:
            return
        self._entries[session] = entry
        self._entries.move_to_end(session)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, deployment: str) -> None:
        """A deployment is gone: nobody stays there."""
        gone = [session for session, entry in self._entries.items() if entry.deployment == deployment]
        for session in gone:
            del self._entries[session]


def asked_again(ask: Ask, former: Sticky | None, now_ms: int) -> bool:
    """Whether a person asks what was just answered: the same newest words in the same session, soon after.

    Tasks that repeat by nature (a heartbeat) do not count.
    """
    if former is None or not ask.question or ask.question != former.question:
        return False
    if ask.prefix != former.prefix:  # the same words about another document, or under another system prompt
        return False
    if len(ask.prompt.strip()) < SHORTEST or "heartbeat" in (ask.task, ask.guess, former.task):
        return False
    return 0 <= now_ms - former.at_ms <= AGAIN_S * 1000


def went_on(ask: Ask, former: Sticky, now_ms: int) -> bool:
    """Whether a person asks something else where the same could have been asked again."""
    other = ask.question and former.question and ask.question != former.question
    return bool(other) and now_ms - former.at_ms <= AGAIN_S * 1000

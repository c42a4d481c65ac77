"""The newest reading of every window of every account: in memory, bounded, one owner, one thread.

`read` takes an answer's headers in; `exhausting` is asked before a call. Both look at one provider's handful
of windows and never wait. Answers that follow each other closely are not all read: they tell the same again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from freehold.costs.limits import window as windows
from freehold.costs.limits.headers import RETRY, LimitSeen, read_limits
from freehold.costs.limits.window import Exhausting, LimitView, Window

MOST_WINDOWS = 512
"""Windows kept; the ones not seen for longest go first. Model names may come from clients."""
READ_EVERY_MS = 100
"""Of one provider and model, answers are read so often at most."""
FORGET_MS = 8 * 86_400_000
"""A window that was not seen for so long is of the past."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    provider: str
    model: str
    window: Window


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    human_reserve: float = 0.0
    windows: tuple[_Kept, ...] = ()


class LimitBook:
    """`human_reserve`: share of a subscription's window that is not for agents."""

    def __init__(self, human_reserve: float = 0.0) -> None:
        self._reserve = human_reserve
        self._by_provider: dict[str, dict[tuple[str, str], Window]] = {}
        self._count = 0
        self._read_ms: dict[tuple[str, str], int] = {}
        self.changes = 0
        """Grows with every reading: to see whether there is something new to keep."""

    def use(self, human_reserve: float) -> None:
        """Another reserve from now on."""
        self._reserve = human_reserve
        self.changes += 1

    def read(
        self,
        provider: str,
        headers: Mapping[bytes, bytes],
        now_ms: int,
        model: str = "",
        *,
        refused: bool = False,
    ) -> None:
        """Take in what the headers (names in lower case) of an answer of `provider` tell, if it is time to.

        `refused`: the provider said no (429, 529, ...); such an answer is always read.
        """
        key = provider, model
        if not refused and 0 <= now_ms - self._read_ms.get(key, 0) < READ_EVERY_MS:  # clocks go back, too
            return
        if len(self._read_ms) >= MOST_WINDOWS:
            self._read_ms.clear()
        self._read_ms[key] = now_ms
        if not refused:
            self._answered(provider, model, now_ms)
        self.seen(provider, read_limits(headers, provider, now_ms), now_ms, model)

    def _answered(self, provider: str, model: str, now_ms: int) -> None:
        """Who answers again has no more patience to ask for. Answers may overtake a refusal, by less."""
        known = self._by_provider.get(provider, {})
        asked = known.get((model, RETRY))
        if asked is not None and now_ms - asked.at_ms >= windows.OVERTAKEN_MS:
            del known[model, RETRY]
            if not known:
                del self._by_provider[provider]
            self._count -= 1
            self.changes += 1

    def seen(self, provider: str, found: Sequence[LimitSeen], now_ms: int, model: str = "") -> None:
        """Take in readings of `provider` (of an answer of `model`)."""
        if not found:
            return
        self.changes += 1
        known = self._by_provider.setdefault(provider, {})
        for each in found:
            key = ("" if each.of_account else model, each.window)
            before = known.pop(key, None)  # and in again at the end: the oldest stand first
            if before is None:
                self._count += 1
            known[key] = (
                windows.first(each, now_ms) if before is None else windows.read_again(before, each, now_ms)
            )
        while self._count > MOST_WINDOWS:
            self._forget_oldest()

    def exhausting(self, provider: str, now_ms: int, model: str = "") -> Exhausting | None:
        """Why `provider` should not be asked for `model` now, the gravest reason first; None: it may."""
        known = self._by_provider.get(provider)
        if not known:
            return None
        worst: Exhausting | None = None
        for (of_model, _), window in known.items():
            if of_model and of_model != model:
                continue
            found = windows.exhausting(window, now_ms, self._reserve)
            if found is not None and (worst is None or _GRAVITY[found.kind] > _GRAVITY[worst.kind]):
                worst = found
        return worst

    def views(self, now_ms: int) -> tuple[LimitView, ...]:
        """Every window, in order of provider, model and name."""
        found = [
            windows.view(provider, model, window, now_ms, self._reserve)
            for provider, known in self._by_provider.items()
            for (model, _), window in known.items()
            if window.at_ms > now_ms - FORGET_MS and (window.seen.status or window.seen.left is not None)
        ]
        return tuple(sorted(found, key=lambda each: (each.provider, each.model, each.window)))

    def document(self) -> bytes:
        """Everything, to be kept on disk."""
        kept = tuple(
            _Kept(provider=provider, model=model, window=window)
            for provider, known in self._by_provider.items()
            for (model, _), window in known.items()
        )
        return msgspec.json.encode(_Document(human_reserve=self._reserve, windows=kept))

    def restore(self, document: bytes, now_ms: int) -> bool:
        """What an earlier book knew, but for what is long past. False when the bytes are no such document."""
        try:
            found = msgspec.json.decode(document, type=_Document)
        except msgspec.MsgspecError:
            return False
        for kept in found.windows[-MOST_WINDOWS:]:
            if now_ms - FORGET_MS < kept.window.at_ms <= now_ms:
                known = self._by_provider.setdefault(kept.provider, {})
                self._count += (kept.model, kept.window.seen.window) not in known
                known[kept.model, kept.window.seen.window] = kept.window
        return True

    def _forget_oldest(self) -> None:
        provider = min(self._by_provider, key=lambda name: next(iter(self._by_provider[name].values())).at_ms)
        known = self._by_provider[provider]
        del known[next(iter(known))]
        if not known:
            del self._by_provider[provider]
        self._count -= 1


_GRAVITY = {"soon": 0, "reserve": 1, "out": 2}


def views_of(document: bytes, now_ms: int) -> tuple[LimitView, ...]:
    """What a kept document tells at `now_ms`; nothing when it cannot be read."""
    try:
        reserve = msgspec.json.decode(document, type=_Document).human_reserve
    except msgspec.MsgspecError:
        return ()
    book = LimitBook(reserve)
    book.restore(document, now_ms)
    return book.views(now_ms)

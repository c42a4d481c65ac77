"""What is written of holds, and how it is read after a crash. Pure.

One JSON object a line. A hold under a hard budget is written before its call is sent, and together with the
ends of all holds whose money it may use. So what is read after a crash never comes to more than a hard limit:

    a hold without an end      the call may have been sent. Its receipt counts, if there is one with a known
                               cost; else the whole hold counts, as expired
    a hold that was settled    its receipt counts; where that is missing, what was settled counts as expired
    released                   nothing was sent

Receipts are written in the turn of the event loop in which their holds are settled, so only what was settled
after the last `sure` line but one can be without.

A segment begins with all that still matters of those before it, and with the number of those lines.

What is spent is in the receipts; here stands only what no receipt tells: holds, what has expired, loans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from freehold.costs.budgets.scopes import Payer


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="post"):
    """What one line says."""


class Opening(Line, frozen=True, kw_only=True, tag="begin"):
    """The first line of a segment; `lines` follow that stand for all segments before."""

    lines: int


class Held(Line, frozen=True, kw_only=True, tag="hold"):
    """`key`: the call's id, a slash, a number. Times are UTC milliseconds, money nano-USD."""

    key: str
    at: int
    nanos: int
    who: Payer


class Settled(Line, frozen=True, kw_only=True, tag="settle"):
    key: str
    nanos: int


class Released(Line, frozen=True, kw_only=True, tag="release"):
    key: str


class Sure(Line, frozen=True, kw_only=True, tag="sure"):
    """What was settled before the last such line has its receipt."""


class Expired(Line, frozen=True, kw_only=True, tag="expire"):
    """Says all by itself: it outlives the line of its hold."""

    key: str
    at: int
    nanos: int
    who: Payer


class Moved(Line, frozen=True, kw_only=True, tag="move"):
    """Money from one account to another; without a giver it is granted from outside. `nanos` below zero is
    the way back. It counts in accounts in whose window `at` lies."""

    at: int
    nanos: int
    giver: str = ""
    giver_subject: str = ""
    taker: str = ""
    taker_subject: str = ""


AnyLine = Opening | Held | Settled | Released | Expired | Moved | Sure

_decode: Callable[[bytes], AnyLine] = msgspec.json.Decoder(AnyLine).decode
_encode = msgspec.json.Encoder().encode


def line_of(posting: AnyLine) -> bytes:
    """As it is written, with its newline."""
    return _encode(posting) + b"\n"


def who_bytes(who: Payer) -> bytes:
    """A payer as it stands in a line."""
    return _encode(who)


def held_line(call: str, number: int, at_ms: int, nanos: int, who: bytes) -> bytes:
    """`line_of` a `Held`, faster. A call's id holds nothing that JSON would escape."""
    return b'{"post":"hold","key":"%b/%d","at":%d,"nanos":%d,"who":%b}\n' % (
        call.encode(),
        number,
        at_ms,
        nanos,
        who,
    )


def settled_line(call: str, number: int, nanos: int) -> bytes:
    """`line_of` a `Settled`."""
    return b'{"post":"settle","key":"%b/%d","nanos":%d}\n' % (call.encode(), number, nanos)


def released_line(call: str, number: int) -> bytes:
    """`line_of` a `Released`."""
    return b'{"post":"release","key":"%b/%d"}\n' % (call.encode(), number)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines come to."""

    open: Mapping[str, Held] = {}
    """By key."""
    unsure: Mapping[str, Held] = {}
    """Settled a moment before the end; each with what it was settled at."""
    expired: tuple[Expired, ...] = ()
    moved: tuple[Moved, ...] = ()
    unreadable: int = 0
    """Lines that are none: the last one of a segment may be torn, and then its call was never sent."""


def opening(lines: Sequence[bytes]) -> bytes:
    """How a segment begins that has these lines first."""
    return line_of(Opening(lines=len(lines))) + b"".join(lines)


def standing_of(segments: Sequence[Sequence[bytes]]) -> Standing:
    """What the segments come to, from the newest on whose opening is whole (a power cut may take one)."""
    whole = (at for at in range(len(segments) - 1, -1, -1) if _is_whole(segments[at]))
    held: dict[str, Held] = {}
    settled: dict[str, Held] = {}
    settled_before: dict[str, Held] = {}
    expired: dict[str, Expired] = {}
    moved: list[Moved] = []
    unreadable = 0
    for line in (line for segment in segments[next(whole, 0) :] for line in segment):
        posting = _read(line)
        match posting:
            case Held(key=key):
                held[key] = posting
            case Settled(key=key, nanos=nanos):
                if (hold := held.pop(key, None)) is not None:
                    settled[key] = msgspec.structs.replace(hold, nanos=nanos)
            case Released(key=key):
                held.pop(key, None)
            case Expired(key=key):
                for before in (held, settled, settled_before):
                    before.pop(key, None)
                expired[key] = posting
            case Moved():
                moved.append(posting)
            case Sure():
                settled, settled_before = {}, settled
            case Opening():
                settled, settled_before = {}, {}
            case None:
                unreadable += 1
    return Standing(
        open=held,
        unsure=settled_before | settled,
        expired=tuple(expired.values()),
        moved=tuple(moved),
        unreadable=unreadable,
    )


def _is_whole(segment: Sequence[bytes]) -> bool:
    first = _read(segment[0]) if segment else None
    return (
        isinstance(first, Opening)
        and len(segment) > first.lines
        and all(_read(line) is not None for line in segment[1 : first.lines + 1])
    )


def _read(line: bytes) -> AnyLine | None:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def call_of(key: str) -> str:
    """The id of the call, and of its receipt, that a hold was made for."""
    return key.rpartition("/")[0]


def expire(standing: Standing, receipted: Mapping[str, bool]) -> tuple[Expired, ...]:
    """What counts of open and unsure holds, because no receipt tells what became of them.

    `receipted`: by the id of a call with a receipt, whether that knows what the call cost.
    """
    lost = [
        *(hold for hold in standing.open.values() if not receipted.get(call_of(hold.key), False)),
        *(hold for hold in standing.unsure.values() if call_of(hold.key) not in receipted),
    ]
    return tuple(Expired(key=hold.key, at=hold.at, nanos=hold.nanos, who=hold.who) for hold in lost)

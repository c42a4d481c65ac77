"""Turns in the order that upstreams demand.

Rules, from what the APIs refuse: every tool call is followed at once by its result and every result
has a call (OpenAI, Anthropic); roles alternate (Anthropic, many local chat templates); system text
stands only at the head (many local chat templates raise otherwise), or also right after a user turn
(Claude from 4.8 on), or anywhere (OpenAI).

System text in mid-conversation that cannot stay becomes text of the user turn at its place, in
`<system-reminder>` tags. Moving it to the head would change the prompt's first bytes with every
new one and throw away a local server's whole prefix cache; appending it where it came keeps every
earlier byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from freehold.dialects.conversation import Part, Text, ToolCall, ToolResult, Turn
from freehold.dialects.fields import Losses

SystemPlace = Literal["head", "after_user", "anywhere"]

_NO_RESULT = "No result of this tool call was recorded."


def arranged(
    turns: Sequence[Turn], place: SystemPlace, losses: Losses
) -> tuple[tuple[Text, ...], list[Turn]]:
    """The leading system text, and the other turns in an order that the upstream accepts."""
    head = 0
    while head < len(turns) and turns[head].role == "system":
        head += 1
    system = _texts(turns[:head])
    rest = _merged(_answered(_merged(turns[head:]), losses))
    if place != "anywhere":
        rest = _merged(_placed(rest, place, losses))
    if not rest and system:
        losses.add("system.position")
        return (), [Turn("user", system)]
    return system, rest


def joined(parts: Sequence[Part], glue: str) -> str:
    """The text of all text parts."""
    return glue.join(part.text for part in parts if isinstance(part, Text))


def _texts(turns: Sequence[Turn]) -> tuple[Text, ...]:
    return tuple(part for turn in turns for part in turn.parts if isinstance(part, Text) and part.text)


def _answered(turns: Sequence[Turn], losses: Losses) -> list[Turn]:
    """Every call followed by its result; results without a call as user text.

    Ids may repeat in a long history (some servers count calls per answer), so a result belongs to
    the nearest earlier call of its id that has none yet.
    """
    results = _paired(turns)
    placed = {id(result) for by_call in results.values() for result in by_call.values()}
    ordered: list[Turn] = []
    for at, turn in enumerate(turns):
        if turn.role == "user":
            parts = tuple(_unplaced(part, losses) for part in turn.parts if id(part) not in placed)
            ordered.append(Turn("user", parts))
            continue
        ordered.append(turn)
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if calls:
            answers = results.get(at, {})
            ordered.append(Turn("user", tuple(_result(call, answers, losses) for call in calls)))
    return ordered


def _paired(turns: Sequence[Turn]) -> dict[int, dict[str, ToolResult]]:
    """Turn index -> call id -> result."""
    waiting: dict[str, int] = {}
    results: dict[int, dict[str, ToolResult]] = {}
    for at, turn in enumerate(turns):
        for part in turn.parts:
            if isinstance(part, ToolCall):
                waiting[part.id] = at
            elif isinstance(part, ToolResult) and part.call_id in waiting:
                results.setdefault(waiting.pop(part.call_id), {})[part.call_id] = part
    return results


def _result(call: ToolCall, answers: dict[str, ToolResult], losses: Losses) -> ToolResult:
    found = answers.get(call.id)
    if found is not None:
        return found
    losses.add("tool_result.missing")
    return ToolResult(call_id=call.id, parts=(Text(_NO_RESULT),), is_error=True)


def _unplaced(part: Part, losses: Losses) -> Part:
    if not isinstance(part, ToolResult):
        return part
    losses.add("tool_result.orphaned")
    return Text(f"[Result of an earlier tool call]\n{joined(part.parts, chr(10))}")


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Neighbours of one role as one turn; turns that say nothing are left out."""
    merged: list[Turn] = []
    for turn in turns:
        parts = tuple(part for part in turn.parts if not (isinstance(part, Text) and not part.text))
        if not parts:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, merged[-1].parts + parts)
        else:
            merged.append(Turn(turn.role, parts))
    return merged


def _placed(turns: Sequence[Turn], place: SystemPlace, losses: Losses) -> list[Turn]:
    placed: list[Turn] = []
    for at, turn in enumerate(turns):
        if turn.role != "system" or (place == "after_user" and _may_stay(turns, at)):
            placed.append(turn)
            continue
        losses.add("system.position")
        placed.append(Turn("user", tuple(Text(_reminder(part.text)) for part in _texts([turn]))))
    return placed


def _may_stay(turns: Sequence[Turn], at: int) -> bool:
    after_user = at > 0 and turns[at - 1].role == "user"
    return after_user and (at + 1 == len(turns) or turns[at + 1].role == "assistant")


def _reminder(text: str) -> str:
    if text.lstrip().startswith("<system-reminder>"):
        return text
    return f"<system-reminder>\n{text}\n</system-reminder>"

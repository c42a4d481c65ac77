"""Whom a budget is for, and whom a call is by. Pure."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Kind = Literal["all", "provider", "model", "project", "agent", "session", "task", "key"]
EACH = "*"


class Payer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Whom a call is by, and where it goes; "" where nobody said. `model` is what the provider calls it."""

    provider: str = ""
    model: str = ""
    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""
    key: str = ""


class Scope(msgspec.Struct, frozen=True):
    """`name` is `EACH` for everyone of a kind, each with the whole limit; "" for `all`."""

    kind: Kind
    name: str = ""


def parse_scope(text: str) -> Scope:
    """`all`, or `KIND:NAME`. Raises ValueError; `core.config_budgets` has said it better before."""
    kind, _, name = text.partition(":")
    for known in get_args(Kind):
        if kind == known and (known == "all") != bool(name):
            return Scope(known, name)
    raise ValueError(f"{text!r} is no scope")


def subject_of(scope: Scope, who: Payer) -> str | None:
    """Whose account a call is on; None when it is not in the scope. "" is everybody of `all`, and with
    `EACH` all those that name none."""
    if scope.kind == "all":
        return ""
    if scope.kind == "model":
        return _model(scope.name, who)
    named: str = getattr(who, scope.kind)
    return named if scope.name in (EACH, named) else None


def _model(name: str, who: Payer) -> str | None:
    """A model may be meant wherever it is, or at one provider: `gpt-5`, `openai/gpt-5`."""
    full = full_model(who)
    if name == EACH:
        return full
    return name if name in (full, who.model) else None


def full_model(who: Payer) -> str:
    """`PROVIDER/model-id`, or what is known of it."""
    return f"{who.provider}/{who.model}" if who.provider else who.model

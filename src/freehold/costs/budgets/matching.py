"""Which accounts a call is on, and what is said when one of them has no room. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from freehold.costs.budgets.accounts import FREE, HELD, Account
from freehold.costs.budgets.answers import Ask, Code, Degrade, Denial
from freehold.costs.budgets.postings import who_bytes
from freehold.costs.budgets.scopes import Payer

_SEVERITY = {"refuse": 2, "ask": 1, "degrade": 0, None: 0}


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of one payer; the same for all calls of `from_ms <= start < until_ms`."""

    accounts: tuple[Account, ...]
    balances: tuple[list[int], ...]
    """Of all accounts."""
    hard: tuple[list[int], ...]
    """Of those whose limit is never passed."""
    watched: tuple[Account, ...]
    """Those that are not hard but act once their limit is spent."""
    rolling: tuple[Account, ...]
    ceiling_nanos: int | None
    """What a call without a price is taken to cost; None: a hard budget does not say."""
    who: bytes
    from_ms: int
    until_ms: int


def matched_of(who: Payer, accounts: Sequence[Account], span: tuple[int, int]) -> Matched:
    """`span`: in which these are the accounts."""
    hard = [account for account in accounts if account.rule.hard]
    ceilings = [account.rule.ceiling_nanos for account in hard]
    known = [ceiling for ceiling in ceilings if ceiling is not None]
    return Matched(
        accounts=tuple(accounts),
        balances=tuple(account.balances for account in accounts),
        hard=tuple(account.balances for account in hard),
        watched=tuple(each for each in accounts if not each.rule.hard and each.rule.action),
        rolling=tuple(account for account in accounts if account.rule.window.rolls),
        ceiling_nanos=max(known, default=0) if len(known) == len(ceilings) else None,
        who=who_bytes(who),
        from_ms=span[0],
        until_ms=span[1],
    )


def without_price(matched: Matched, model: str) -> Denial:
    """No bound is known for what the call can cost."""
    account = next(each for each in matched.accounts if each.rule.hard and each.rule.ceiling_nanos is None)
    return _said(account, 0, "budget_price_unknown", model)


def without_room(matched: Matched, nanos: int) -> Denial:
    """Some account has no room for the call. Named is the one that is strictest about it, and then the one
    that has no room for longest."""
    full = [
        account
        for account in matched.accounts
        if (account.balances[FREE] < nanos if account.rule.hard else account.full)
    ]
    account = max(full, key=lambda each: (_SEVERITY[each.rule.action], _how_long(each, nanos)))
    others_wait = all(_may_free_up(each, nanos) for each in full)
    said = _said(account, nanos, "budget_exhausted")
    for_good = tuple(each for each in full if not _may_free_up(each, nanos))
    return msgspec.structs.replace(said, may_free_up=others_wait, full=for_good)


def _how_long(account: Account, nanos: int) -> float:
    if _may_free_up(account, nanos):
        return 0
    frees_ms = account.frees_ms(nanos)
    return float("inf") if frees_ms is None else frees_ms


def _may_free_up(account: Account, nanos: int) -> bool:
    """Whether there is room if all calls under way cost nothing."""
    return account.rule.hard and account.balances[FREE] + account.balances[HELD] >= nanos


def _said(account: Account, nanos: int, code: Code, detail: str = "") -> Denial:
    kind = {"degrade": Degrade, "ask": Ask}.get(account.rule.action or "", Denial)
    return kind(
        code=code,
        budget=account.rule.label,
        subject=account.subject,
        need_nanos=nanos,
        left_nanos=account.balances[FREE],
        limit_nanos=account.granted,
        held_nanos=account.balances[HELD],
        may_free_up_at=account.frees_ms(nanos),
        detail=detail,
    )

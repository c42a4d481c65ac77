"""`freehold receipts show`: one receipt, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_facts, print_json, print_table
from freehold.cli.receipts.others import other_facts
from freehold.cli.wording import clock_time, cost, dollars, duration
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.query import Filter, find, list_receipts, open_readonly
from freehold.web.control import ReceiptView

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The receipt's id, how it begins, or its number in the list.")
]


def show(receipt_id: IdArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one receipt: who asked, who answered, every attempt, usage, cost and commitments. Or the use of a
    tool, or how an answer did."""
    folder = chosen_home(home)
    index, receipt = find(folder, named_id(folder, receipt_id))
    if as_json:
        print_json(ReceiptView(index=index, receipt=receipt))
        return
    facts = other_facts(index, receipt) or _facts(index, receipt)
    print_facts([(name, value) for name, value in facts if value not in ("", None)])
    if receipt.attempts:
        print()
        _print_attempts(receipt)


def _print_attempts(receipt: Receipt) -> None:
    head = [">ATTEMPT", "DEPLOYMENT", ">STATUS", ">BEGAN", ">FIRST BYTE", ">TOOK"]
    rows: list[tuple[object, ...]] = [
        (
            number,
            attempt.deployment,
            attempt.status or "none",
            duration(attempt.start_us),
            duration(attempt.first_byte_us) if attempt.first_byte_us else "-",
            duration(attempt.total_us),
        )
        for number, attempt in enumerate(receipt.attempts, start=1)
    ]
    if any(attempt.cost_nanos for attempt in receipt.attempts):
        head.append(">COST WITHOUT USE")
        costs = [attempt.cost_nanos for attempt in receipt.attempts]
        rows = [(*row, dollars(nanos) if nanos else "-") for row, nanos in zip(rows, costs, strict=True)]
    errors = [attempt.error for attempt in receipt.attempts]
    print_table([*head, "ERROR"], [(*row, error) for row, error in zip(rows, errors, strict=True)])


def named_id(home: Path, text: str) -> str:
    """The id that `text` means: the id of a number from the list, or else `text` itself.

    Raises LedgerError when there is no such number.
    """
    if not (text.isascii() and text.isdigit()):
        return text
    with open_readonly(home) as db:
        found = list_receipts(db, Filter(before=int(text) + 1, limit=1))
    if not found or found[0].seq != int(text):
        raise LedgerError(f"there is no receipt with the number {text}")
    return found[0].id


def _facts(index: int, receipt: Receipt) -> list[tuple[str, object]]:
    return [
        ("receipt", receipt.id),
        ("place in log", index),
        ("time", clock_time(receipt.started_ms)),
        ("outcome", receipt.outcome),
        ("error", receipt.error),
        ("asked for", receipt.model_asked),
        ("answered by" if receipt.first_byte_us or receipt.cached else "tried last", _place(receipt)),
        ("why there", receipt.route),
        ("endpoint", f"{receipt.endpoint}{', streamed' if receipt.stream else ''}"),
        ("dialects", _dialects(receipt)),
        ("lost", ", ".join(receipt.losses)),
        ("status", receipt.status),
        ("took", _times(receipt)),
        ("tokens", _tokens(receipt)),
        ("ended with", receipt.finish),
        ("cost", cost(receipt.cost_nanos, receipt.cost_state, with_state=True)),
        ("price for", receipt.price_terms),
        ("project", receipt.project),
        ("agent", receipt.agent),
        ("session", receipt.session),
        ("task", receipt.task),
        ("key", receipt.via_key),
        ("bytes", f"{receipt.request_bytes:,} in, {receipt.response_bytes:,} out"),
        ("upstream id", receipt.upstream_request_id),
        ("request", receipt.request_commitment and f"commitment {receipt.request_commitment}"),
        ("answer", receipt.response_commitment and f"commitment {receipt.response_commitment}"),
        ("prices", receipt.price_snapshot and f"snapshot {receipt.price_snapshot}"),
    ]


def _place(receipt: Receipt) -> str:
    if receipt.deployment in ("", receipt.model):
        return receipt.model
    return f"{receipt.model} ({receipt.deployment})"


def _dialects(receipt: Receipt) -> str:
    if receipt.upstream_dialect in ("", receipt.client_dialect):
        return receipt.client_dialect
    return f"{receipt.client_dialect}, translated to {receipt.upstream_dialect}"


def _times(receipt: Receipt) -> str:
    first = f", first byte after {duration(receipt.first_byte_us)}" if receipt.first_byte_us else ""
    return duration(receipt.total_us) + first


def _tokens(receipt: Receipt) -> str:
    usage = receipt.usage
    if receipt.usage_state == "none":
        return "none were reported" if receipt.first_byte_us else ""
    cached = f" ({usage.cache_read:,} from cache)" if usage.cache_read else ""
    reasoning = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input_total:,} in{cached}, {usage.output_total:,} out{reasoning}; {receipt.usage_state}"

"""`freehold route`: why a call goes where it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.control_client import KeyWanted, find_running
from freehold.cli.exits import NotRunning
from freehold.cli.option_struct import takes
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.core.config_file import load_config
from freehold.core.errors import FreeholdError
from freehold.routing.world import dollars

if TYPE_CHECKING:
    from freehold.routing.explain import Candidate, Explanation

app = typer.Typer(add_completion=False, no_args_is_help=True)

_EXPLAIN = "/api/v1/route/explain"


class ExplainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `freehold route explain` is asked."""

    text: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="A prompt to ask about.")] = None
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="The same.")] = None
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="A file with the prompt; - for standard input."),
    ] = None
    receipt: Annotated[
        str | None, typer.Option("--receipt", metavar="ID", help="A past call: what else it could have been.")
    ] = None
    task: Annotated[
        str, typer.Option("--task", metavar="KIND", help="As `x-freehold-task` would say it.")
    ] = ""
    agent: Annotated[
        str, typer.Option("--agent", metavar="NAME", help="As `x-freehold-agent` would say it.")
    ] = ""
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="A name of yours with a route.")] = (
        "auto"
    )
    output_tokens: Annotated[
        int | None,
        typer.Option("--output-tokens", metavar="N", min=0, help="Expected length of the answer."),
    ] = None
    config: ConfigOption = None
    home: HomeOption = None
    url: UrlOption = None
    as_json: JsonOption = False


@app.callback()
def _route() -> None:  # pyright: ignore[reportUnusedFunction] - Typer calls it
    """Why calls go where they go."""


@app.command()
@takes(ExplainOptions)
def explain(options: ExplainOptions) -> None:
    """Say who would answer a prompt, or why a past call went where it did, and what all others would cost.

    Asks the running Freehold. Without one, and with --config, it answers from the configuration and from what
    was learned.
    """
    said = (options.text, options.prompt, options.file, options.receipt)
    if sum(each is not None for each in said) != 1:
        raise typer.BadParameter("say a prompt, or one of --prompt TEXT, --file FILE and --receipt ID")
    found = _explanation(options)
    if options.as_json:
        print_json(found)
    else:
        tell(found)


def tell(found: Explanation) -> None:
    """The decision in a sentence, a table of everybody, and what it saves."""
    say(found.reason or "No reason is on the receipt: the call named its model.")
    print()
    print_table(
        ["=", "=DEPLOYMENT", "TIER", ">CHANCE", ">PRICE", ">WAIT", "WHY"], map(_row, found.candidates)
    )
    print()
    for line in _sentences(found):
        say(line)


def _row(one: Candidate) -> tuple[str, ...]:
    return (
        str(one.order or ""),
        one.name,
        one.tier,
        f"{one.chance:.2f}",
        dollars(one.price_nanos),
        f"{one.wait_s:.1f} s" if one.wait_s else "",
        one.why,
    )


def _sentences(found: Explanation) -> Iterator[str]:
    tokens = f"{found.input_tokens:,} tokens in, {found.output_tokens:,} out"
    if found.receipt:
        who = found.deployment or "Nobody"
        if found.cached:
            how = "was kept" if found.cached in ("exact", "semantic") else "was already paid"
            yield f"{found.receipt} was answered without a model: an answer of {who} {how} ({found.cached})."
        else:
            yield f"{who} answered {found.receipt}, {tokens}: {dollars(found.cost_nanos)}."
        cost = found.cost_nanos
    else:
        yield f"Prices are for {tokens}, as expected."
        cost = found.candidates[0].price_nanos if found.candidates else None
    if found.demanded:
        yield f"A chance of {found.demanded:.2f} was demanded."
    if found.before_given:
        yield f"Before the first answer is given, {found.before_given}."
    if found.baseline and found.baseline_nanos is not None and cost is not None:
        saved = found.baseline_nanos - cost
        yield f"{found.baseline}, the baseline: {dollars(found.baseline_nanos)}" + (
            f"; saved {dollars(saved)}." if saved > 0 else "."
        )
    if not found.live:
        yield "No running Freehold was asked: how servers are doing is not known."


def _text(prompt: str | None, file: Path | None) -> str:
    if file is None:
        return prompt or ""
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FreeholdError(f"cannot read {file}: {error.strerror}") from error


def _explanation(options: ExplainOptions) -> Explanation:
    """The running Freehold's; without one, from files. Another address is only asked when it is named."""
    from freehold.app.explain import own_explanation  # noqa: PLC0415 - not for `freehold --help`
    from freehold.routing.explain import ExplainIn, Explanation  # noqa: PLC0415 - as above

    asked = ExplainIn(
        prompt=_text(options.text or options.prompt, options.file),
        receipt=options.receipt or "",
        model=options.model,
        task=options.task,
        agent=options.agent,
        output_tokens=options.output_tokens,
    )
    home = chosen_home(options.home)
    if options.config is not None and options.url is None:  # what this file would do, in force or not
        return own_explanation(load_config(options.config, os.environ, Path.cwd()), home, os.environ, asked)
    try:
        return find_running(home, options.url).post(_EXPLAIN, Explanation, body=asked)
    except (NotRunning, KeyWanted):
        if options.url is not None:
            raise
    return own_explanation(load_config(None, os.environ, Path.cwd()), home, os.environ, asked)

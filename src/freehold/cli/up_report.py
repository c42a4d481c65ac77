"""How `freehold up` tells its steps: lines and a short table for a person, JSON lines for a program.

Written without Rich on purpose: this process serves for months, and Rich would cost 50 ms of its start
and several megabytes for as long as it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import msgspec

from freehold.cli.wording import plain
from freehold.core.progress import ModelRow, Progress, ReadyFacts

_SHOWN = 24
_BOLD, _DIM, _WARN, _END = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"


def reporter(out: TextIO, *, as_json: bool) -> Callable[[Progress], None]:
    """A function that writes each step to `out` as it comes."""
    colour = out.isatty() and "NO_COLOR" not in os.environ
    told: dict[object, object] = {}

    def tell_program(progress: Progress) -> None:
        print(msgspec.json.encode(progress).decode(), file=out, flush=True)

    def tell_person(progress: Progress) -> None:
        if progress.stage == "server":  # a server tells its state again when it knows more about it
            name, state = progress.data.get("name"), progress.data.get("state")
            if progress.level == "info" and told.get(name) == state:
                return
            told[name] = state
        print("\n".join(step_lines(progress, colour=colour)), file=out, flush=True)

    return tell_program if as_json else tell_person


def step_lines(progress: Progress, *, colour: bool) -> Iterator[str]:
    """One step in words; the last one, `ready`, with everything needed to begin."""
    if progress.stage == "ready":
        yield from ready_lines(msgspec.convert(progress.data, ReadyFacts), colour=colour)
        return
    mark, paint = ("!", _WARN) if progress.level == "warn" else ("·", _DIM)
    line = f"{mark} {plain(progress.text)}"
    yield f"{paint}{line}{_END}" if colour else line


def ready_lines(facts: ReadyFacts, *, colour: bool) -> Iterator[str]:
    """Endpoint, key, models and where each runs, and what to try next."""

    def strong(text: str) -> str:
        return f"{_BOLD}{text}{_END}" if colour else text

    key = "one of auth.keys, as a bearer token" if facts.key_needed else "none needed on this machine"
    yield ""
    yield strong("Freehold is ready.")
    yield ""
    yield f"  endpoint  {strong(facts.url + '/v1')}   (Anthropic clients: {facts.url})"
    yield f"  key       {key}"
    yield f"  config    {facts.config_file or 'no configuration file'}"
    yield f"  receipts  {facts.home}"
    yield ""
    yield from _model_lines(facts.models, strong)
    yield ""
    if all(model.test_only for model in facts.models):
        yield from _how_to_add_a_model(bool(facts.models))
        yield ""
    if facts.models:
        yield strong("Try it:")
        yield from _first_call(facts)
        yield ""
    yield "Ctrl-C stops it."


def _model_lines(models: Sequence[ModelRow], strong: Callable[[str], str]) -> Iterator[str]:
    if not models:
        yield "  No model can be asked for yet."
        return
    rows = [(plain(model.name), plain(model.where), _state(model)) for model in models[:_SHOWN]]
    name_width = max(len("MODEL"), *(len(row[0]) for row in rows))
    where_width = max(len("RUNS ON"), *(len(row[1]) for row in rows))
    yield strong(f"  {'MODEL':{name_width}}  {'RUNS ON':{where_width}}  STATE".rstrip())
    for name, where, state in rows:
        yield f"  {name:{name_width}}  {where:{where_width}}  {state}".rstrip()
    if len(models) > _SHOWN:
        yield f"  … and {len(models) - _SHOWN} more: freehold models"


def _state(model: ModelRow) -> str:
    return ", ".join(filter(None, [plain(model.state), "a test model" if model.test_only else ""]))


def _how_to_add_a_model(have_test_model: bool) -> Iterator[str]:
    if have_test_model:
        yield "This is only a test model: it recites fixed texts. To add a real one, do any of these"
    else:
        yield "To add a model, do any of these"
    yield "and start again:"
    yield "  - put a GGUF file under ~/models"
    yield "  - start a model server here (Ollama, llama-server, vLLM, LM Studio, SGLang)"
    yield "  - set a provider's key, for example OPENAI_API_KEY or ANTHROPIC_API_KEY"
    yield "  - name servers and providers in freehold.yaml (see `freehold config schema`)"


def _first_call(facts: ReadyFacts) -> Iterator[str]:
    body = {"model": facts.models[0].name, "messages": [{"role": "user", "content": "Hello"}]}
    yield f"  curl {facts.url}/v1/chat/completions -H 'content-type: application/json' \\"
    if facts.key_needed:
        yield '    -H "authorization: Bearer $FREEHOLD_KEY" \\'
    yield f"    -d {_quoted(msgspec.json.encode(body).decode())}"


def _quoted(text: str) -> str:
    """`text` as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"

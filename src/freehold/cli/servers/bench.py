"""`freehold servers bench NAME`: how fast a server is, through Freehold, as an agent would see it."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer

from freehold.cli.control_client import ControlClient, find_running
from freehold.cli.option_struct import takes
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_facts, print_json
from freehold.cli.servers.orders import NameArgument
from freehold.core.errors import FreeholdError

_WORDS = "the quick brown fox jumps over the lazy dog and then it goes on its way "
_TIMEOUT_S = 600.0


class Run(msgspec.Struct, kw_only=True):
    """One call: seconds and tokens."""

    first_s: float = 0.0
    total_s: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""


class BenchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured."""

    name: NameArgument
    calls: Annotated[int, typer.Option("--calls", min=1, max=1000, help="How many calls in all.")] = 8
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="How many at the same time.")] = 1
    prompt: Annotated[
        int, typer.Option("--prompt", min=1, max=100_000, help="Words of the prompt, about.")
    ] = 200
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, max=4096, help="Tokens of each answer, at most.")
    ] = 64
    url: UrlOption = None
    home: HomeOption = None
    as_json: JsonOption = False


@takes(BenchOptions)
def bench(options: BenchOptions) -> None:
    """Measure a server with streamed calls: time to the first token, tokens per second. Loads it first."""
    name, prompt, at_once = options.name, options.prompt, options.at_once
    client = find_running(chosen_home(options.home), options.url)
    load_s = _call(client, name, _body(name, 1, 1, 0)).total_s
    began = time.perf_counter()
    runs = _all(client, name, [_body(name, prompt, options.tokens, n) for n in range(options.calls)], at_once)
    wall_s = time.perf_counter() - began
    figures = _figures(runs, load_s, wall_s)
    if options.as_json:
        print_json(figures)
        return
    failed = next((f"; {figures['failed']} failed: {run.error}" for run in runs if run.error), "")
    print_facts(
        [
            ("calls", f"{figures['calls']} of about {prompt} words, {at_once} at once{failed}"),
            ("first call", "{first_call_s} s, with the load when it was not ready".format(**figures)),
            ("first token", "{first_token_p50_s} s (median), {first_token_p95_s} s (p95)".format(**figures)),
            ("each answer", "{tokens_out_per_s_each} tokens/s".format(**figures)),
            ("together", "{tokens_out_per_s} tokens/s over {wall_s} s".format(**figures)),
        ]
    )


def _figures(runs: list[Run], load_s: float, wall_s: float) -> dict[str, float]:
    """Raises FreeholdError when no call succeeded."""
    good = sorted((run for run in runs if not run.error), key=lambda run: run.first_s)
    if not good:
        raise FreeholdError(f"no call succeeded: {runs[0].error}")
    return {
        "calls": len(good),
        "failed": len(runs) - len(good),
        "first_call_s": round(load_s, 3),
        "first_token_p50_s": round(good[len(good) // 2].first_s, 4),
        "first_token_p95_s": round(good[min(len(good) - 1, int(len(good) * 0.95))].first_s, 4),
        "tokens_in": sum(run.tokens_in for run in good),
        "tokens_out": sum(run.tokens_out for run in good),
        "tokens_out_per_s": round(sum(run.tokens_out for run in good) / wall_s, 1),
        "tokens_out_per_s_each": round(sum(map(_pace, good)) / len(good), 1),
        "wall_s": round(wall_s, 3),
    }


def _pace(run: Run) -> float:
    return (run.tokens_out - 1) / max(run.total_s - run.first_s, 1e-6) if run.tokens_out > 1 else 0.0


def _body(name: str, words: int, tokens: int, number: int) -> bytes:
    text = f"{number}: " + (_WORDS * (words // 16 + 1)).strip()
    return msgspec.json.encode(
        {
            "model": name,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


def _all(client: ControlClient, name: str, bodies: list[bytes], at_once: int) -> list[Run]:
    runs: list[Run] = []
    left = iter(bodies)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                return
            run = _call(client, name, body)
            with lock:
                runs.append(run)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return runs


def _call(client: ControlClient, name: str, body: bytes) -> Run:
    parts = urlsplit(client.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    headers = {"content-type": "application/json", "x-freehold-task": "bench"}
    if client.key:
        headers["authorization"] = f"Bearer {client.key}"
    run = Run()
    began = time.perf_counter()
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        response = connection.getresponse()
        if response.status != 200:
            run.error = f"{name} answered {response.status}: {response.read(2000).decode(errors='replace')}"
            return run
        for line in response:
            _read(line, run, began)
    except (OSError, http.client.HTTPException) as error:
        run.error = str(error) or type(error).__name__
    finally:
        connection.close()
        run.total_s = time.perf_counter() - began
    return run


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] = []
    usage: _Usage | None = None


def _read(line: bytes, run: Run, began: float) -> None:
    if not line.startswith(b"data: {"):
        return
    chunk = msgspec.json.decode(line[6:], type=_Chunk)
    if chunk.choices and not run.first_s and b'"content":null' not in line:
        run.first_s = time.perf_counter() - began
    if chunk.usage is not None:
        run.tokens_in, run.tokens_out = chunk.usage.prompt_tokens, chunk.usage.completion_tokens

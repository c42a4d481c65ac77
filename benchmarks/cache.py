"""`python -m benchmarks cache`: what recognising and answering a request again costs, and how well questions
that mean the same are told from those that do not.

`--embedder URL --model ID` also measures with a real embedding model (an OpenAI-like `/v1/embeddings`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from functools import cache

from benchmarks.cache_http import over_http
from benchmarks.results import put_section
from freehold.app.cache import HouseEmbedder, vector_in
from freehold.cache.answers import Answers, Ask, Hit, Said, Ticket
from freehold.cache.guard import read
from freehold.cache.vectors import Vector, WordVectors, word_vector
from freehold.core.config_cache import CacheConfig, ExactCacheConfig, SemanticCacheConfig
from tests.cache.pairs import Score, pairs, scored

SALT = b"s" * 32
REPLACED_S = 1.5
"""The call that a hit stands for."""
BODIES_KB = (1, 10, 100)


def body_of(kilobytes: int) -> bytes:
    """A chat request of about that size, with the line ends and quotes of real ones."""
    line = 'The log says "connection reset" again;\nso what is the next step?\n'
    turns = [
        {"role": "user" if at % 2 == 0 else "assistant", "content": line * 7}
        for at in range(max(1, kilobytes * 2))
    ]
    asked = {"model": "fast", "stream": True, "temperature": 0, "messages": turns}
    return json.dumps(asked, separators=(",", ":")).encode()


def median_us(work: Callable[[], object], rounds: int = 2000) -> float:
    """Median of single runs."""
    for _ in range(50):
        work()
    times: list[int] = []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - begun)
    return statistics.median(times) / 1000


def answer_of(events: int) -> bytes:
    chunk = '{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}'
    last = '{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
    return (f"data: {chunk}\n\n" * events + f"data: {last}\n\ndata: [DONE]\n\n").encode()


def timings() -> list[str]:
    """Rows of the table: what a hit and a miss cost by size of the request."""
    rows = [
        "| request | key + get, hit | key, miss | keep an answer of 500 events | hit / 1.5 s call |",
        "|---|---|---|---|---|",
    ]
    for kilobytes in BODIES_KB:
        for shared in (False, True):
            answers = Answers(CacheConfig(exact=ExactCacheConfig(shared=shared)), salt=SALT)
            body = body_of(kilobytes)
            ask = Ask(endpoint="chat", body=body, model="fast", route=b"fast")
            said = Said(
                status=200,
                headers=((b"content-type", b"text/event-stream"),),
                body=answer_of(500),
                receipt="r",
                deployment="d",
            )
            ticket = answers.look(ask, 0)
            assert isinstance(ticket, Ticket)
            miss_us = median_us(lambda answers=answers, ask=ask: answers.look(ask, 0))
            keep_us = median_us(
                lambda answers=answers, ticket=ticket, said=said: answers.keep(ticket, said, 0), 300
            )
            assert isinstance(answers.look(ask, 1), Hit)
            hit_us = median_us(lambda answers=answers, ask=ask: answers.look(ask, 1))
            name = f"{len(body) / 1000:.0f} KB{', shared' if shared else ''}"
            times = f"{REPLACED_S * 1e6 / hit_us:,.0f}x faster"
            rows.append(f"| {name} | {hit_us:.0f} us | {miss_us:.0f} us | {keep_us:.0f} us | {times} |")
    return rows


def blind(text: str) -> Vector:
    """The worst of all models: everything is alike."""
    return (1.0,)


def remote(url: str, model: str) -> Callable[[str], Vector]:
    @cache
    def vector(text: str) -> Vector:
        body = json.dumps({"model": model, "input": text}).encode()
        request = urllib.request.Request(f"{url}/v1/embeddings", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = vector_in(answer.read())
        if found is None:
            raise SystemExit(f"{url} gave no embedding for {text!r}")
        return found

    return vector


def row(name: str, part: str, score: Score) -> str:
    figures = f"{score.precision:.3f} | {score.recall:.3f} | {score.found} of {score.same}"
    return f"| {name} | {part} | {figures} | {len(score.wrong)} |"


def meanings(url: str, model: str) -> list[str]:
    """Rows of the table: precision and recall on the pairs."""
    ways: list[tuple[str, Callable[[str], Vector], float, bool]] = [
        ("words, no model", word_vector, WordVectors.threshold, False),
        ("guard alone (a model that finds all alike)", blind, 0.0, True),
    ]
    if url:
        ways.append((model, remote(url, model), HouseEmbedder.threshold, True))
    rows = ["| compared by | pairs | precision | recall | found | wrong |", "|---|---|---|---|---|---|"]
    for name, vector, threshold, meaning in ways:
        for part, words in (("tune", "seen while written"), ("check", "held back")):
            rows.append(row(name, words, scored(vector, threshold, meaning=meaning, part=part)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cache")
    parser.add_argument("--embedder", default="", help="address of a server with /v1/embeddings")
    parser.add_argument("--model", default="", help="its embedding model")
    parser.add_argument("--keep", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    known = list(pairs())
    same = sum(not pair.changed for pair in known)
    question = "How do I reverse a list in Python without slicing, and for 5 km of data?"
    reading_us = median_us(lambda: read(question), 500)
    semantic = CacheConfig(semantic=SemanticCacheConfig(models=("fast",)))
    answers = Answers(semantic, salt=SALT, embedder=WordVectors())
    body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": question}]}).encode()
    ask = Ask(endpoint="chat", body=body, model="fast", route=b"fast")
    look_us = median_us(lambda: answers.look(ask, 0), 500)
    text = "\n".join(
        [
            *timings(),
            "",
            "Over HTTP, a kept answer beside a refusal (unknown model) of a Freehold without a cache, one "
            "connection, in turns, with 0.5 ms between calls and without:",
            "",
            *over_http(),
            "",
            f"By meaning, on {len(known)} pairs of questions ({same} mean the same, {len(known) - same} "
            "nearly do; `tests/cache/pairs.json`), at the default threshold:",
            "",
            *meanings(options.embedder, options.model),
            "",
            f"Reading a question takes {reading_us:.0f} us, a look by meaning {look_us:.0f} us in all.",
        ]
    )
    print(text)
    if options.keep:
        put_section("cache", "Cache", "python -m benchmarks cache --keep", text)


if __name__ == "__main__":
    main()

"""The weights: a llama network of one layer that looks up the successor of the last token.

Attention and feed-forward are zero, so what reaches the output is the last token's embedding alone.
Every piece of a text carries a code word, and the output row of its successor carries the same word.
Code words are Reed-Solomon: token n is the line y = (n // P) * x + n % P over the field of P elements,
read at BLOCKS points, each written one-hot. Two lines meet in at most one point, hence

    score(successor) = BLOCKS * MATCH      score(any other) <= 1 * MATCH (+ its rank)

exactly, without random numbers, and equally at any temperature in use (gaps are > 200 in logits).

When a grammar forbids the successor (a JSON schema, a forced tool call), ranks decide among what is
left, in a fixed order that closes things soon: the end, heads of tool calls, the JSON text, quote, letters,
brackets, digits. So structured output with any schema ends, and is the same each time.
"""

from __future__ import annotations

import math
import string

import numpy as np
import numpy.typing as npt

from freehold.testing.tiny_model import scripts, tokens, vocabulary

P, BLOCKS = 31, 6
OTHER, ONE, LAST = P * BLOCKS, P * BLOCKS + 1, P * BLOCKS + 2
"""Dimensions beside the code: `OTHER` marks prompt tokens, `ONE` is 1 for all, `LAST` marks ends of texts."""
WIDTH = 192
HEAD = 32
FEED_FORWARD = 32

MATCH = 100.0
RANK_STEP = 3.0
RANK_NONE = -400.0

_CHARACTERS = '"' + string.ascii_lowercase.replace("e", "") + "}],:e" + string.digits + string.ascii_uppercase
"""The order in which single characters are preferred under a grammar."""

Matrix = npt.NDArray[np.float32]


def code_positions(n: int) -> list[int]:
    """The dimensions that are 1 in code word `n` (0 <= n < P * P)."""
    if not 0 <= n < P * P:
        raise ValueError(f"no code word {n}: the texts have more than {P * P} pieces")
    slope, offset = divmod(n, P)
    return [block * P + (slope * block + offset) % P for block in range(BLOCKS)]


def embeddings(vocab: tokens.Vocabulary) -> Matrix:
    """One row per token; all rows have the same length, so that normalising treats them alike."""
    rows = np.zeros((len(vocab.tokens), WIDTH), np.float32)
    rows[:, ONE] = 1.0
    rows[:, OTHER] = math.sqrt(BLOCKS)
    for token, word in _codes(vocab).items():
        rows[token, OTHER] = 0.0
        rows[token, code_positions(word)] = 1.0
    for name, chain in vocab.chains.items():
        if name not in (scripts.FOREVER, scripts.ANY_TOOL):
            rows[chain[-1], LAST] = 1.0
    return rows


def _codes(vocab: tokens.Vocabulary) -> dict[int, int]:
    chained = [token for chain in vocab.chains.values() for token in chain]
    words = {token: n for n, token in enumerate(chained)}
    for token, name in vocab.triggers.items():
        words[token] = words[vocab.chains[name][0]]
    words[vocab.tokens.index('"')] = words[vocab.chains[scripts.IN_QUOTES][0]]
    return words


def output(vocab: tokens.Vocabulary) -> Matrix:
    """One row per token: which last tokens it follows, and its rank."""
    rows = np.zeros((len(vocab.tokens), WIDTH), np.float32)
    rows[:, ONE] = RANK_NONE
    for token, rank in _ranks(vocab).items():
        rows[token, ONE] = rank
    words = _codes(vocab)
    for name, chain in vocab.chains.items():
        ring = [*chain[1:], chain[1]] if name == scripts.FOREVER else chain[1:]
        for before, after in zip(chain, ring, strict=False):
            rows[after, code_positions(words[before])] += MATCH
    rows[vocab.chains[scripts.DEFAULT][1], OTHER] = MATCH * math.sqrt(BLOCKS)  # a prompt token last
    rows[tokens.END, LAST] = MATCH * BLOCKS
    return rows


def _ranks(vocab: tokens.Vocabulary) -> dict[int, float]:
    index = {token: n for n, token in enumerate(vocab.tokens)}
    texts = [*(f"tool:{name}" for name in scripts.TOOL_CALLS), scripts.ANY_TOOL, scripts.CALL_ENDS, "json"]
    heads = [vocab.chains[name][1] for name in texts]
    rest = [c for c in string.printable if c not in _CHARACTERS]
    order = [tokens.END, *heads, *(index[vocabulary.spell(c)] for c in [*_CHARACTERS, *rest])]
    return {token: RANK_STEP * (20 - place) for place, token in enumerate(order)}

"""All tokens of the tiny model: what prompts are made of, and one token of its own for every piece of a text.

A piece of a text never occurs twice, so the token before it says all there is to know: reciting is
looking up the successor.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import msgspec

from freehold.testing.tiny_model import scripts, vocabulary

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PAD, START, END = range(3)
"""Ids of the special tokens."""


class Vocabulary(msgspec.Struct, frozen=True):
    """`tokens` are spelled; `chains` maps a text's name to its token ids, the selector first."""

    tokens: list[str]
    control: frozenset[int]
    """Ids that are never shown to a client."""
    merges: list[tuple[str, str]]
    chains: dict[str, list[int]]
    triggers: dict[int, str]
    """Ids of keywords that may stand last in a raw prompt, with the text each starts."""


class _Builder:
    """Tokens in the order of their ids, none twice."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = dict.fromkeys(tokens)

    def add(self, token: str) -> str:
        if token in self.tokens:
            raise ValueError(f"token {token!r} exists already")
        self.tokens[token] = None
        return token

    def pieces(self, text: str) -> list[str]:
        """Cut `text` at white space into spelled pieces that are no token yet, as short as possible."""
        cut: list[str] = []
        rest = ""
        for word in _words(text):
            rest += vocabulary.spell(word)
            if rest not in self.tokens:
                cut.append(self.add(rest))
                rest = ""
        while rest:  # the tail is known already: lengthen it to the left until it is not
            if not cut:
                raise ValueError(f"{text!r} cannot be told from what is known already")
            last = cut.pop()
            del self.tokens[last]
            rest = last + rest
            if rest not in self.tokens:
                cut.append(self.add(rest))
                break
        return cut


def _words(text: str) -> list[str]:
    """Words with the white space before them. A tool call's head stays whole: with a grammar in force
    it is a choice by tool name, which must be made in one step."""
    return re.findall(r'<tool_call>\n\{"name": "\w*|\s*\S+|\s+$', text)


@functools.cache
def build() -> Vocabulary:
    """The vocabulary of the scripts as they are now; the same each time."""
    merges = vocabulary.learn_merges()
    builder = _Builder([*SPECIAL, *vocabulary.base_tokens(merges)])
    keywords = {builder.add(word): word.removeprefix("@@") for word in scripts.KEYWORDS}
    chains: dict[str, list[str]] = {}
    for name, text in scripts.texts().items():
        chains[name] = [builder.add(scripts.selector(name)), *builder.pieces(text)]
    index = {token: n for n, token in enumerate(builder.tokens)}
    return Vocabulary(
        tokens=list(builder.tokens),
        control=frozenset({PAD, START, END} | {index[chain[0]] for chain in chains.values()}),
        merges=merges,
        chains={name: [index[token] for token in chain] for name, chain in chains.items()},
        triggers={index[word]: name for word, name in keywords.items() if name in chains},
    )

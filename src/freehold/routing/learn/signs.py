"""Signs that can be counted in a prompt without understanding it: length, code, maths, JSON, questions.

One fixed-length vector of small numbers per prompt. Long prompts are judged by their head and tail. What
the words say is in `words`; what follows from both is in `forest` and `estimator`.
"""

from __future__ import annotations

import re
from math import log

HEAD_CHARS = 1024
TAIL_CHARS = 512
"""What is asked stands at the beginning or at the end; the middle of a long prompt is material."""

_CLASSES = bytearray(b"o" * 256)
for _range, _class in (
    (range(0x30, 0x3A), b"d"),
    (range(0x41, 0x5B), b"U"),
    (range(0x61, 0x7B), b"l"),
    (b" \t", b" "),
    (b"\n\r", b"n"),
    (range(0x80, 0x100), b"x"),
    (b"+-*/=<>^%|&~", b"m"),
    (b"()[]{}", b"b"),
    (b"\"'`", b"q"),
    (b".,;:!?", b"p"),
):
    for _byte in _range:
        _CLASSES[_byte] = _class[0]
_TABLE = bytes(_CLASSES)

_NUMBERS = re.compile(r"\d[\d,.]*")
_OPTIONS = re.compile(r"[A-J][.):]\s")

_OPENINGS: dict[str, int] = {
    **dict.fromkeys(("who", "when", "where", "whose", "whom"), 1),
    **dict.fromkeys(("what", "which", "what's", "in"), 2),
    **dict.fromkeys(("how",), 3),
    **dict.fromkeys(("why",), 4),
    **dict.fromkeys(("is", "are", "do", "does", "did", "can", "could", "was", "were", "will", "should"), 5),
    **dict.fromkeys(("write", "create", "generate", "implement", "make", "build", "draft", "design"), 6),
    **dict.fromkeys(
        ("find", "compute", "calculate", "evaluate", "solve", "determine", "simplify", "prove"), 7
    ),
    **dict.fromkeys(("let", "suppose", "if", "given", "consider", "assume", "for"), 8),
    **dict.fromkeys(("summarise", "summarize", "extract", "translate", "rewrite", "list", "classify"), 9),
    **dict.fromkeys(("def", "class", "import", "from", "#", "function", "public", "#include"), 10),
    **dict.fromkeys(("a", "an", "the", "this", "these", "there"), 11),
    **dict.fromkeys(("explain", "describe", "discuss", "compare", "tell", "give", "provide"), 12),
    **dict.fromkeys(("i", "my", "we", "i'm", "please", "hi", "hello", "hey", "you"), 13),
}
_OPENING_KINDS = 14

NAMES: tuple[str, ...] = (
    "length", "words", "word_length", "variety", "digits", "capitals", "newlines", "foreign", "operators",
    "brackets", "quotes", "punctuation", "questions", "commas", "numbers", "largest_number", "options",
    "latex", "code", "json", "tests", "ends_question", "ends_stop", "ends_colon", "starts_small",
    "starts_quote", "sentences", "longest_line",
    *(f"opening_{kind}" for kind in range(_OPENING_KINDS)),
)  # fmt: skip
"""What each place of the vector means."""


def sample(prompt: str) -> str:
    """Head and tail of a long prompt; a short one as it is."""
    if len(prompt) <= HEAD_CHARS + TAIL_CHARS:
        return prompt
    return f"{prompt[:HEAD_CHARS]}\n{prompt[-TAIL_CHARS:]}"


def signs_of(prompt: str, text: str, words: list[str]) -> list[float]:
    """The vector of `NAMES`. `text` is the sample of `prompt`, `words` what `words.split` found in it."""
    classes = text.encode("utf-8", "replace").translate(_TABLE)
    size = len(classes) + 1.0
    count = classes.count
    counted = len(words)
    numbers = _NUMBERS.findall(text)
    stripped = text.strip()
    last, first = stripped[-1:], stripped[:1]
    questions = text.count("?")
    lines = text.split("\n")
    code = (
        text.count("def ") + text.count("return ") + text.count("import ") + text.count("```")
        + text.count("};") + text.count("self.") + text.count("();") + text.count("==")
    )  # fmt: skip
    vector = [
        log(len(prompt) + 1.0),
        log(counted + 1.0),
        count(b"l") / (counted + 1.0),
        len(set(words)) / (counted + 1.0),
        count(b"d") / size,
        count(b"U") / size,
        count(b"n") / size,
        count(b"x") / size,
        count(b"m") / size,
        count(b"b") / size,
        count(b"q") / size,
        count(b"p") / size,
        log(questions + 1.0),
        text.count(",") / (counted + 1.0),
        log(len(numbers) + 1.0),
        float(max(map(len, numbers))) if numbers else 0.0,
        float(min(len(_OPTIONS.findall(text)), 10)),
        log(text.count("\\") + text.count("$") + 1.0),
        log(code + 1.0),
        log(text.count('":') + text.count('": ') + 1.0),
        log(text.count(">>>") + text.count("assert") + 1.0),
        float(last == "?"),
        float(last == "."),
        float(last in ":=_"),
        float(first.islower()),
        float(first in "\"'`([{" and bool(first)),
        log(text.count(". ") + text.count(".\n") + questions + 1.0),
        log(max(map(len, lines)) + 1.0),
    ]
    opening = [0.0] * _OPENING_KINDS
    opening[_OPENINGS.get(words[0], 0) if words else 0] = 1.0
    return vector + opening

"""What must not differ between two questions that mean the same: numbers, units, names, negation, quotes,
code, direction. Pure; English.

Two measures. Without a model of meaning, the words themselves must agree (after inflection, a few synonyms
and ways of asking). With one, only the hard facts must: what is not a common soft word is such a fact. A
doubt is a difference: a question that is asked once too often costs a call, a wrong answer costs trust.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from freehold.cache.words import NEGATIONS, NUMBERS, OPPOSITES, PHRASES, SAME, SOFT, STOP, UNITS

_CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
_QUOTED = re.compile(r'"([^"]+)"|(?<!\w)\'([^\']+)\'(?!\w)')
_LITERAL = re.compile(
    r"https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+|(?:~|\.{0,2})/[\w./-]+|\b\w+(?:[./_]\w+)+\b|\w*\(\)|\B--?[a-z][\w-]*"
)
_NUMBER = re.compile(r"[$€£]?-?\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?%?")
_TOKEN = re.compile(r"[$€£]?-?\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?%?|[^\W\d_][\w+#°'-]*|°[cf]|[%+*/=<>,]")
_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(what|who|where|when|how|why|that|there|it|he|she|here)'s\b"), r"\1 is"),
    (re.compile(r"'(?:re|ve|ll|d|m)\b"), " "),
)
_DIRECTED = frozenset(
    ("to", "from", "into", "than", "over", "before", "after", "until", "since", "by", "against", "toward")
)
_BESIDE = frozenset(
    ("in", "on", "at", "with", "for", "using", "via", "inside", "within", "during", "per", "under")
)
_SENTENCE_END = re.compile(r"[.!?\n:]\s*$")
_FEW = 2
"""So many content words say the same in either order ("capital of France", "France's capital")."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a text."""

    words: tuple[str, ...]
    """Content words in one spelling, in order where that may matter; directions between them."""
    beside: tuple[str, ...]
    """Groups that only add circumstances ("in python"), sorted."""
    asks: tuple[str, ...]
    """Ways of asking."""
    numbers: tuple[str, ...]
    negations: int
    names: tuple[str, ...]
    """Words written as names, or otherwise not common."""
    literal: tuple[str, ...]
    """Quotes, code, addresses, as they stand."""


def read(text: str) -> Reading:
    """The facts of `text`, which may be anything."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("“", '"').replace("”", '"').strip()
    literal, plain = _literals(text)
    named = _named(plain)
    plain = plain.lower()
    for pattern, words in _CONTRACTIONS:
        plain = pattern.sub(words, plain)
    for pattern, word in PHRASES:
        plain = pattern.sub(word, plain)
    return _reading(plain, named, literal)


def signature(reading: Reading, *, meaning: bool) -> tuple[object, ...]:
    """What must be equal before two questions are compared at all. `meaning`: a model compares the rest."""
    hard = (reading.numbers, reading.negations, reading.literal)
    if meaning:
        return (*hard, tuple(sorted(set(reading.names))))
    return (*hard, reading.words, reading.beside, reading.asks)


def conflict(one: Reading, other: Reading) -> str:
    """Where a model finds two questions alike: what speaks against it; empty when nothing does."""
    mine, theirs = set(one.words), set(other.words)
    only_mine, only_theirs = mine - theirs, theirs - mine
    for pair in _OPPOSITES:
        if (pair & only_mine and pair & only_theirs) or (pair <= mine) != (pair <= theirs):
            return f"opposites: {' and '.join(sorted(pair))}"
    hard = {word for word in only_mine | only_theirs if word not in _SOFT and word not in _DIRECTED}
    if hard:
        return f"only in one: {', '.join(sorted(hard))}"
    if _asked(one) != _asked(other):
        return "another kind of question"
    if (_DIRECTED & mine or _DIRECTED & theirs) and not _same_order(one.words, other.words):
        return "another direction"
    return ""


def _asked(reading: Reading) -> frozenset[str]:
    return frozenset(reading.asks) - {"q-how"}


def _same_order(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = set(one) & set(other) - _SOFT
    return [word for word in one if word in shared] == [word for word in other if word in shared]


def _literals(text: str) -> tuple[tuple[str, ...], str]:
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        found.append(next((group for group in match.groups() if group), match[0]))
        return " "

    plain = _CODE.sub(take, text)
    plain = _QUOTED.sub(take, plain)
    plain = _LITERAL.sub(lambda match: match[0] if _NUMBER.fullmatch(match[0]) else take(match), plain)
    return tuple(found), plain


def _named(text: str) -> frozenset[str]:
    """Words with a capital that the start of a sentence does not explain, in lower case."""
    names: set[str] = set()
    for match in re.finditer(r"[^\W\d_][\w+#'-]*", text):
        word = match[0]
        begins = match.start() == 0 or _SENTENCE_END.search(text[: match.start()])
        if any(sign.isupper() for sign in word[1:]) or (word[0].isupper() and not begins and word != "I"):
            names.add(word.lower().removesuffix("'s"))
    return frozenset(names)


def _reading(plain: str, named: frozenset[str], literal: tuple[str, ...]) -> Reading:
    found = _Facts(named)
    for sign in _TOKEN.findall(plain):
        found.take(sign)
    main = found.main
    ordered = len(main) > _FEW or bool(_DIRECTED & set(main))
    return Reading(
        words=tuple(main if ordered else sorted(main)),
        beside=tuple(sorted(" ".join(group) for group in found.groups if group)),
        asks=tuple(sorted(found.asks)),
        numbers=tuple(found.numbers),
        negations=found.negations,
        names=tuple(found.names),
        literal=literal,
    )


class _Facts:
    """What is gathered word by word."""

    def __init__(self, named: frozenset[str]) -> None:
        self.main: list[str] = []
        self.groups: list[list[str]] = []
        self.asks: set[str] = set()
        self.numbers: list[str] = []
        self.names: list[str] = []
        self.negations = 0
        self._named = named
        self._into = self.main
        self._after_number = False

    def take(self, word: str) -> None:
        """The next word, number or sign, in lower case."""
        number = _number(word)
        unit = UNITS.get(word)
        if number is not None or (unit is not None and (self._after_number or len(word) > _SHORT_UNIT)):
            self.numbers.append(number or unit or "")
            self._into.append(number or unit or "")
        elif word in NEGATIONS:
            self.negations += 1
            self._into.append("not")
        elif word == ",":
            self._into = self.main
        elif word.startswith("q-"):
            self.asks.add(word)
            self._into = self.main
        elif word in _BESIDE:
            beside: list[str] = []
            self.groups.append(beside)
            self._into = beside
        elif word in _DIRECTED:
            self._into = self.main
            self.main.append(word)
        elif word not in STOP or word in self._named:
            self._content(word)
        self._after_number = number is not None

    def _content(self, word: str) -> None:
        found = canonical(word)
        self._into.append(found)
        if word in self._named or (found not in _SOFT and found not in _GROUPS):
            self.names.append(found)


_SHORT_UNIT = 2
"""Letters; a shorter unit is one only behind a number ("5 m"), else a word."""


def _number(word: str) -> str | None:
    """A number in one spelling; None when `word` is none."""
    if word in NUMBERS:
        return NUMBERS[word]
    if not _NUMBER.fullmatch(word):
        return None
    value = re.sub(r"(?<=\d)(?:st|nd|rd|th)", "", word.replace(",", ""))
    return re.sub(r"\.0+(?=\D|$)", "", value)


# -- words in one spelling


def canonical(word: str) -> str:
    """A word without its inflection, by the first of its synonyms."""
    stem = _stem(word)
    return _SAME.get(word) or _SAME.get(stem) or stem


def _stem(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and _VOWEL.search(word[: -len(suffix)]) and len(word) - len(suffix) > 1:
            return _bare(word[: -len(suffix)])
    return word


_VOWEL = re.compile(r"[aeiouy]")
_SHORT_SYLLABLE = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
_DOUBLED = re.compile(r"([bdfgmnprt])\1$")


def _bare(stem: str) -> str:
    """What `-ing` or `-ed` was put to: hopp -> hop, hop -> hope, creat -> create, visit -> visit."""
    if _DOUBLED.search(stem):
        return stem[:-1]
    ends = stem.endswith(("at", "c", "v", "z", "u", "iv", "us")) and len(stem) > 1
    return stem + "e" if ends or _SHORT_SYLLABLE.fullmatch(stem) else stem


_SAME = {spelling: _stem(first) for word, first in SAME.items() for spelling in (word, _stem(word))}
_GROUPS = frozenset(_SAME.values())
_SOFT = frozenset(canonical(word) for word in SOFT)
_OPPOSITES = tuple(frozenset(canonical(word) for word in pair) for pair in OPPOSITES)

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
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?")
_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207e\u2080-\u208e]+")
_AND_ONE = re.compile(
    r"\b((?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand|million|billion)(?: and)?) one\b"
)
_SIGN = re.compile(
    r"(?<=[\w)]) [-:] (?=[\w(])|(?<=\d) ?am\b|(?<=\d)!|[&@#|^~\\\[\]{}\u2030]|\u00b0(?! ?[cf])"
    r"|[^\w\s!-/:-@\[-`{-~\u00a0\u00a1\u00a3\u00ab\u00b0\u00bb\u00bf\u20ac"
    r"\u2010-\u2027\u2032-\u205e\u3000-\u3003\u3008-\u3011]"
)
"""Signs that mean something: between two words, after a number, of programs; whatever is no punctuation."""
_READ = frozenset("%$\u20ac\u00a3+*/=<>,")
_TOKEN = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?|[^\W\d_][\w+#°'-]*|°[cf]|[%$€£+*/=<>,]")
_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(what|who|where|when|how|why|that|there|it|he|she|here)'s\b"), r"\1 is"),
    (re.compile(r"'(?:re|ve|ll|d|m)\b"), " "),
)
_DIRECTED = frozenset(
    ("to", "from", "than", "over", "before", "after", "until", "since", "by", "against", "toward", "under")
)
_BESIDE = frozenset(("in", "on", "at", "with", "using", "via", "within", "during", "per", "of", "by"))
_BOUNDARY = frozenset((",", "for", "between", "which", "what", "when", "if", "and", "or", "but"))
_WORD = re.compile(r"[^\W\d_][\w+#'-]*")
_SENTENCE_END = re.compile(r"[.!?\n:]\s*$")
_SOFT_ASKS = frozenset(("q-how", "q-can", "q-mean"))
"""A model of meaning sees these through."""
_VAGUE_ASKS = frozenset(("q-can", "q-many"))
"""Say nothing beside another one: "where can I", "how much does it cost"."""
_FEW = 2
"""So many content words say the same in either order ("capital of France", "France's capital")."""


_PERSONS = {
    word: who
    for who, words in {
        "1": "i me my mine myself", "1s": "we us our ours", "2": "you your yours", "he": "he him his",
        "she": "she her hers", "they": "they them their theirs",
    }.items()
    for word in words.split()
}  # fmt: skip
_TIMES = {
    word: when
    for when, words in {"past": "was were did had", "now": "is are am do does", "next": "will shall"}.items()
    for word in words.split()
}
_TWO_FACED = frozenset(("may", "go"))
"""A month and a language, behind a preposition."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a text."""

    bag: tuple[str, ...]
    """All content words in one spelling, sorted; `not-` before what is denied."""
    main: tuple[str, ...]
    """Those outside of circumstances ("in python"), as they follow each other."""
    beside: frozenset[tuple[str, str]]
    """(word in front, word of a circumstance), where there is one in front."""
    directed: frozenset[tuple[str, str]]
    """(preposition, word) where that says a direction."""
    asks: tuple[str, ...]
    """Ways of asking, sorted."""
    numbers: tuple[str, ...]
    """With their units, in order."""
    units: tuple[str, ...]
    """Without a number, sorted."""
    negations: int
    names: frozenset[str]
    """Words written as names, or otherwise not common."""
    literal: tuple[str, ...]
    """Quotes, code, addresses, signs, as they stand."""
    persons: tuple[str, ...] = ()
    """Who is spoken of, each once, in order."""
    times: frozenset[str] = frozenset()
    """Past, present, future, as auxiliaries say."""


def read(text: str) -> Reading:
    """The facts of `text`, which may be anything."""
    text = _RAISED.sub(lambda sign: f" ^{unicodedata.normalize('NFKC', sign[0])} ", text)
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("“", '"').replace("”", '"').strip()
    literal, plain = _literals(text)
    named = _named(plain)
    plain = plain.lower()
    for pattern, words in _CONTRACTIONS:
        plain = pattern.sub(words, plain)
    plain = _AND_ONE.sub(r"\1 1", plain)
    for pattern, word in PHRASES:
        plain = pattern.sub(word, plain)
    return _reading(plain, named, (*literal, *_signs(plain)))


def _signs(plain: str) -> list[str]:
    """Signs that are no punctuation (8 \u00d7 3, a || b, pictures), and words of scripts whose vowels are
    marks: no word says them again, so they must stand in both."""
    words = (word.strip("?!.,:;") for word in plain.split())
    marked = [word for word in words if any(unicodedata.category(sign)[0] == "M" for sign in word)]
    return [*marked, *(found[0].strip() for found in _SIGN.finditer(plain) if found[0] not in _READ)]


def signature(reading: Reading, *, meaning: bool) -> tuple[object, ...]:
    """What must be equal before two questions are compared at all. `meaning`: a model compares the rest."""
    hard = (reading.numbers, reading.units, reading.negations, reading.literal)
    if meaning:
        return (*hard, tuple(sorted(reading.names)))
    return (*hard, reading.bag, reading.asks)


def conflict(one: Reading, other: Reading, *, meaning: bool) -> str:
    """What speaks against two questions of one signature; empty when nothing does."""
    if meaning and (why := _opposed(one, other)):
        return why
    if one.directed != other.directed and not _same_directions(one.directed, other.directed):
        return "another direction"
    if one.persons and other.persons and one.persons != other.persons:
        return "about another person"
    if one.times and other.times and one.times != other.times:
        return "of another time"
    if one.beside - other.beside and other.beside - one.beside:
        return "other circumstances"
    return "" if _same_order(one, other) else "another order"


def _opposed(one: Reading, other: Reading) -> str:
    mine, theirs = set(one.bag), set(other.bag)
    for pair in _OPPOSITES:
        if (pair & mine - theirs and pair & theirs - mine) or (pair <= mine) != (pair <= theirs):
            return f"opposites: {' and '.join(sorted(pair))}"
    hard = {word for word in mine ^ theirs if word not in _SOFT}
    if hard:
        return f"only in one: {', '.join(sorted(hard))}"
    if (set(one.asks) ^ set(other.asks)) - _SOFT_ASKS:
        return "another kind of question"
    return ""


def _same_directions(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> bool:
    """Whether no word is led to in one and from in the other. A lone `to` may stand before a verb."""
    said = {word for _, word in one & other}
    return all(way == "to" and word not in said for way, word in one ^ other) and not (
        {word for _, word in one - other} & {word for _, word in other - one}
    )


def _same_order(one: Reading, other: Reading) -> bool:
    mine_only, theirs_only = set(one.main) - set(other.main), set(other.main) - set(one.main)
    if mine_only & set(other.bag) and theirs_only & set(one.bag):
        return False  # thing and circumstance have changed places: grams in an ounce, ounces in a gram
    shared = (set(one.main) & set(other.main)) - _SOFT
    mine, theirs = ([word for word in reading.main if word in shared] for reading in (one, other))
    few = len(shared) <= _FEW and not one.directed and not other.directed
    return mine == theirs or few


def _literals(text: str) -> tuple[tuple[str, ...], str]:
    """Quotes, code and addresses as they stand, and the text without them."""
    found: list[str] = []

    def lift(match: re.Match[str]) -> str:
        if _NUMBER.fullmatch(match[0]):
            return match[0]
        found.append(next((group for group in match.groups() if group), match[0]))
        return " "

    for pattern in (_CODE, _QUOTED, _LITERAL):
        text = pattern.sub(lift, text)
    return tuple(found), text


def _named(text: str) -> frozenset[str]:
    """Words with a capital that the start of a sentence does not explain, in lower case."""
    names: set[str] = set()
    for match in _WORD.finditer(text):
        word = match[0]
        begins = match.start() == 0 or _SENTENCE_END.search(text[: match.start()])
        if any(sign.isupper() for sign in word[1:]) or (word[0].isupper() and not begins and word != "I"):
            names.add(word.lower().removesuffix("'s"))
    return frozenset(names)


def _reading(plain: str, named: frozenset[str], literal: tuple[str, ...]) -> Reading:
    found = _Facts(named)
    words = _TOKEN.findall(plain)
    for sign in words:
        found.take(sign)
    return Reading(
        bag=tuple(sorted(found.bag)),
        main=tuple(found.main),
        beside=frozenset(found.beside),
        directed=frozenset(found.directed),
        asks=tuple(sorted(found.asks - _VAGUE_ASKS or found.asks)),
        numbers=tuple(found.numbers),
        units=tuple(sorted(found.units)),
        negations=found.negations,
        names=frozenset(found.names),
        literal=literal,
        persons=tuple(dict.fromkeys(_PERSONS[word] for word in words if word in _PERSONS)),
        times=frozenset(_TIMES[word] for word in words if word in _TIMES),
    )


class _Facts:
    """What is gathered word by word."""

    def __init__(self, named: frozenset[str]) -> None:
        self.bag: list[str] = []
        self.main: list[str] = []
        self.beside: set[tuple[str, str]] = set()
        self.directed: set[tuple[str, str]] = set()
        self.asks: set[str] = set()
        self.numbers: list[str] = []
        self.units: list[str] = []
        self.names: set[str] = set()
        self.negations = 0
        self._named = named
        self._is_beside = False
        self._head = ""
        self._run = 0
        """So many words of `main` stand directly before this one."""
        self._way = ""
        self._denied = False
        self._after_number = False

    def take(self, word: str) -> None:
        """The next word, number or sign, in lower case."""
        number = _number(word)
        unit = UNITS.get(word)
        after_number, self._after_number = self._after_number, number is not None
        if number is not None:
            self.numbers.append(number)
            self._content(number)
        elif unit is not None and after_number:
            self.numbers[-1] += unit
            self._content(unit)
        elif unit is not None and (len(word) > _SHORT_UNIT or word in _PLAIN_UNITS):
            self.units.append(unit)
            self._content(unit)
        elif not self._grammar(word):
            if word.removesuffix("'s") in self._named:
                self.names.add(_stem(word))
                self._content(_stem(word))
            else:
                self._word(canonical(word))
            if word.endswith("'s"):
                self._owner()

    def _grammar(self, word: str) -> bool:
        """Words that only place the others."""
        if word.startswith("q-"):
            self.asks.add(word)
            self._is_beside, self._head = False, ""
        elif word in NEGATIONS:
            self.negations += 1
            self._denied = True
        elif word in _BESIDE:
            self._head = self.main[-1] if self.main and not self._is_beside else self._head
            self._is_beside = True
            self._way = word if word in _DIRECTED else ""
        elif word in _DIRECTED:
            self._is_beside, self._way = False, word
        elif word in _BOUNDARY:
            self._is_beside, self._head = False, ""
        elif (
            word not in STOP
            or word in self._named
            or (self._is_beside and not self._run and word in _TWO_FACED)
        ):
            return False
        self._run = 0
        return True

    def _owner(self) -> None:
        """What was just said owns what follows: "France's capital" is the capital of France."""
        if not self._is_beside:
            del self.main[len(self.main) - self._run :]
        self._run = 0

    def _word(self, word: str) -> None:
        self._content(word)
        if word not in _SOFT and word not in _GROUPS:
            self.names.add(word)

    def _content(self, word: str) -> None:
        if self._way:
            self.directed.add((self._way, word))
        denied = f"not-{word}" if self._denied else word
        self.bag.append(denied)
        if not self._is_beside:
            self.main.append(denied)
            self._run += 1
        elif self._head:
            self.beside.add((self._head, denied))
        self._way, self._denied = "", False


_SHORT_UNIT = 3
"""Letters; so short a unit is one only behind a number ("5 m"), else a word."""
_PLAIN_UNITS = frozenset(("day", "°c", "°f", "usd", "eur", "gbp", "%"))


_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?,?")


def _number(word: str) -> str | None:
    """A number in one spelling; None when `word` is none."""
    if word in NUMBERS:
        return NUMBERS[word]
    if not _NUMBER.fullmatch(word):
        return None
    value = re.sub(r"(?:st|nd|rd|th)$", "", word)
    if _GROUPED.fullmatch(value):  # else the comma is a decimal one, or stands between two numbers
        value = value.replace(",", "")
    return re.sub(r"\.(?:0{1,2}|0{4,})$", "", value.rstrip(","))


# -- words in one spelling


def canonical(word: str) -> str:
    """A word without its inflection, by the first of its synonyms."""
    stem = _stem(word)
    return _SAME.get(word) or _SAME.get(stem) or stem


def _stem(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith(("ies", "ied")):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
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
_MUTE_E = ("at", "c", "v", "z", "u", "us", "ud", "id", "ag", "ar", "ir", "ut", "ib", "is")
_DOUBLED = re.compile(r"([bdfgmnprt])\1$")


def _bare(stem: str) -> str:
    """What `-ing` or `-ed` was put to: hopp -> hop, hop -> hope, creat -> create, visit -> visit."""
    if _DOUBLED.search(stem):
        return stem[:-1]
    ends = stem.endswith(_MUTE_E)
    return stem + "e" if ends or _SHORT_SYLLABLE.fullmatch(stem) else stem


_SAME = {spelling: _stem(first) for word, first in SAME.items() for spelling in (word, _stem(word))}
_GROUPS = frozenset(_SAME.values())
_SOFT = frozenset(canonical(word) for word in SOFT)
_OPPOSITES = tuple(frozenset(canonical(word) for word in pair) for pair in OPPOSITES)

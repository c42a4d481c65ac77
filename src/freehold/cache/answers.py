"""The one door for the gateway: look before the model is asked, keep when it has answered.

Everything here is memory and arithmetic. Only `wait` may take time (the disk, an embedding model), and
`Ticket.waits` says so before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from freehold.cache.disk import AnswerDisk
from freehold.cache.gather import gathered
from freehold.cache.guard import Reading, read
from freehold.cache.keeping import objection
from freehold.cache.keys import Asked, Form, Keyed, key_of, scope_of, without_chance
from freehold.cache.memory import AnswerMemory
from freehold.cache.modes import Mode, Selection
from freehold.cache.parts import Unkept
from freehold.cache.questions import Question, question_of
from freehold.cache.recent import RecentBodies
from freehold.cache.semantic import QuestionIndex
from freehold.cache.stored import Header, Stored, kept_headers
from freehold.cache.vectors import Embedder, Vector
from freehold.core.catalog import Dialect
from freehold.core.config_cache import CacheConfig
from freehold.core.usage import Usage
from freehold.dialects.usage import usage_object

Kind = Literal["exact", "semantic", "shared", "resumed"]
"""How it was found; the last two are answers that were never kept, see `flights` and `retries`."""
_TICK_MS = 60_000
"""So far clocks are set back without that anything is forgotten."""
_LETTER: dict[Form, bytes] = {"whole": b"w", "stream": b"s", "counted": b"c"}
_FROM_STREAM: tuple[Form, ...] = ("counted", "stream")
_DIALECTS: dict[str, Dialect] = {"chat": "chat", "messages": "messages", "completions": "chat"}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A call that could be answered from the cache. `endpoint` is its name in receipts."""

    endpoint: str
    body: bytes
    model: str
    """As the client asked."""
    route: bytes
    """From `keys.route_label`; may be made once for each name and catalog."""
    headers: bytes = b""
    """From `keys.feature_headers`; may be made once for each head."""
    mode: Mode = ""
    agent: str = ""
    key_name: str = ""
    project: str = ""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, without a model."""

    stored: Stored
    kind: Kind
    age_s: int
    likeness: float = 1.0
    """Of a semantic hit: the cosine."""

    @property
    def saved_nanos(self) -> int:
        """What the model took for this answer the first time."""
        return self.stored.cost_nanos


class Ticket:
    """A call that the model must answer, as far as is known: what is needed to keep its answer."""

    __slots__ = ("asked", "exact", "key", "keyed", "owner", "question", "reading", "vector", "waits")

    def __init__(self, asked: Asked, keyed: Keyed, owner: object, *, exact: bool) -> None:
        self.owner = owner
        """Whose ticket it is: another cache's keys and vectors say nothing here."""
        self.asked = asked
        self.keyed = keyed
        self.key = keyed.key + _LETTER[keyed.form]
        self.exact = exact
        self.question: Question | None = None
        """Of a call that may be answered by meaning."""
        self.reading: Reading | None = None
        self.vector: Vector | None = None
        self.waits = False
        """An answer may still turn up: `Answers.wait` tells."""

    @property
    def context(self) -> bytes:
        """What must be equal before questions are compared; the framing, too."""
        return b"" if self.question is None else self.question.context + _LETTER[self.keyed.form]

    @property
    def content_key(self) -> bytes:
        """The same for all framings of one request; for retries."""
        return self.keyed.key


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, as its client got it, and what it cost. Only answers whose outcome is `ok`."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    receipt: str
    deployment: str
    model: str = ""
    finish: str = ""
    usage: Usage = Usage()
    cost_nanos: int = 0


class AnswerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """For status and metrics."""

    exact_hits: int
    semantic_hits: int
    misses: int
    saved_nanos: int
    entries: int
    bytes: int
    questions: int
    on_disk: int


class Search:
    """A look that takes longer, and who waits for it."""

    __slots__ = ("_then", "over", "stop")

    def __init__(self, then: Callable[[Hit | None], None]) -> None:
        self.over = False
        self.stop: Callable[[], object] | None = None
        self._then = then

    def answer(self, hit: Hit | None) -> None:
        """Tell who waits, once."""
        if not self.over:
            self.over = True
            self._then(hit)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.over = True
        if self.stop is not None:
            self.stop()


class Answers:
    """The owner of what was answered before."""

    def __init__(
        self,
        config: CacheConfig,
        *,
        salt: bytes,
        embedder: Embedder | None = None,
        disk: AnswerDisk | None = None,
    ) -> None:
        """`embedder`: needed where `config.semantic` is set. `disk` belongs to the caller, who closes it."""
        self._salt = salt
        self._disk = disk
        self._embedder = embedder
        exact, semantic = config.exact, config.semantic
        self._exact = None if exact is None else Selection.of(exact)
        self._semantic = None if semantic is None or embedder is None else Selection.of(semantic)
        self._tools = () if exact is None else exact.tools
        self._sampled = exact is None or exact.sampled
        self._shared = exact is not None and exact.shared
        self._exact_ms = 0 if exact is None else round(exact.ttl_s * 1000)
        self._semantic_ms = 0 if semantic is None else round(semantic.ttl_s * 1000)
        self._memory = AnswerMemory(
            entries=exact.entries if exact is not None else semantic.entries if semantic is not None else 1,
            most_bytes=exact.memory_bytes if exact is not None else 64 * 1024**2,
        )
        self._recent = RecentBodies()
        self._questions: QuestionIndex | None = None
        if semantic is not None and embedder is not None:
            self._questions = QuestionIndex(
                entries=semantic.entries,
                threshold=semantic.threshold or embedder.threshold,
                meaning=embedder.meaning,
            )
        self._exact_hits = self._semantic_hits = self._misses = self._saved_nanos = 0

    def serves(self, model: str, agent: str, mode: Mode) -> bool:
        """Whether a call is worth a look: the cheap question before its body is read."""
        if mode:
            return mode != "off"
        return (self._exact is not None and self._exact.has(model, agent)) or (
            self._semantic is not None and self._semantic.has(model, agent)
        )

    def look(self, ask: Ask, now_ms: int) -> Hit | Ticket | Unkept:
        """A hit, or what is needed to keep the model's answer, or why that will not be kept."""
        forced = ask.mode in ("on", "only", "refresh")
        exact = self._exact is not None and (forced or self._exact.has(ask.model, ask.agent))
        semantic = self._semantic is not None and self._semantic.has(ask.model, ask.agent)
        if ask.mode == "off" or not (exact or semantic or forced):
            return Unkept("this call is not for the cache")
        scope = scope_of(ask.key_name, ask.project, shared=self._shared)
        asked = Asked(endpoint=ask.endpoint, body=ask.body, route=ask.route, headers=ask.headers, scope=scope)
        may_read = ask.mode != "refresh"
        if exact and may_read:
            known = self._seen_again(asked, now_ms)
            if known is not None:
                return known
        keyed = key_of(asked, salt=self._salt, tools=self._tools, strict=self._shared)
        if isinstance(keyed, Unkept):
            return keyed
        if not self._sampled and not without_chance(ask.endpoint, keyed.document):
            return Unkept("its answer is drawn by chance")
        ticket = Ticket(asked, keyed, self, exact=exact)
        if may_read:
            found = self._memory.get(ticket.key, now_ms) or self._reframed(ticket, now_ms)
            if found is not None:
                if exact:
                    self._recent.remember(asked, ticket.key)
                return self._hit(found, "exact", now_ms)
        comparable = semantic and self._compare(ticket, now_ms)
        on_disk = self._disk is not None and self._disk.has(ticket.key)
        ticket.waits = may_read and (on_disk or comparable)
        if not ticket.waits:
            self._misses += 1
        return ticket

    def wait(self, ticket: Ticket, now_ms: int, then: Callable[[Hit | None], None]) -> Callable[[], object]:
        """Look where it takes longer; `then` is called once, now or later on the loop. Returns a function
        after which it is not called any more."""
        search = Search(then)
        if self._disk is not None and self._disk.has(ticket.key):
            self._disk.fetch(ticket.key, now_ms, lambda found: self._from_disk(ticket, found, now_ms, search))
        else:
            self._by_meaning(ticket, now_ms, search)
        return search.cancel

    def keep(self, ticket: Ticket, said: Said, now_ms: int) -> str:
        """Keep a model's answer; returns why not, empty when it is kept."""
        if ticket.owner is not self:
            return "it was asked of the cache before"
        form = ticket.keyed.form
        why = objection(ticket.asked.endpoint, form, said.status, said.body, self._tools)
        if why:
            return why
        answer = Stored(
            form=form,
            status=said.status,
            headers=kept_headers(said.headers),
            body=said.body,
            receipt=said.receipt,
            deployment=said.deployment,
            model=said.model,
            finish=said.finish,
            usage=said.usage,
            cost_nanos=said.cost_nanos,
            stored_ms=now_ms,
            expires_ms=now_ms + (self._exact_ms if ticket.exact else self._semantic_ms),
        )
        if not self._memory.put(ticket.key, answer):
            return "it is too large"
        if self._disk is not None and ticket.exact:
            self._disk.put(ticket.key, answer)
        if ticket.exact:
            self._recent.remember(ticket.asked, ticket.key)
        self._remember_question(ticket, now_ms + self._semantic_ms)
        return ""

    def clear(self) -> int:
        """Forget everything; returns how many answers there were in memory."""
        if self._questions is not None:
            self._questions.clear()
        self._recent.clear()
        if self._disk is not None:
            self._disk.clear()
        return self._memory.clear()

    def counts(self) -> AnswerCounts:
        memory = self._memory.counts()
        return AnswerCounts(
            exact_hits=self._exact_hits,
            semantic_hits=self._semantic_hits,
            misses=self._misses,
            saved_nanos=self._saved_nanos,
            entries=memory.entries,
            bytes=memory.bytes,
            questions=0 if self._questions is None else len(self._questions),
            on_disk=0 if self._disk is None else self._disk.counts().entries,
        )

    # -- inside

    def _seen_again(self, asked: Asked, now_ms: int) -> Hit | None:
        """The answer to the very same bytes, without reading them."""
        key = self._recent.find(asked)
        found = None if key is None else self._memory.get(key, now_ms)
        return None if found is None else self._hit(found, "exact", now_ms)

    def _reframed(self, ticket: Ticket, now_ms: int) -> Stored | None:
        """The whole answer made of a stream that was kept."""
        if ticket.keyed.form != "whole":
            return None
        for form in _FROM_STREAM:
            stream = self._memory.get(ticket.content_key + _LETTER[form], now_ms)
            whole = None if stream is None else whole_of(ticket.asked.endpoint, stream)
            if whole is not None:
                self._memory.put(ticket.key, whole)
                return whole
        return None

    def _compare(self, ticket: Ticket, now_ms: int) -> bool:
        """Read what the call asks; whether there is anything to compare it with."""
        question = ticket.question = question_of(ticket.asked, ticket.keyed.document, self._salt)
        if question is None or self._questions is None:
            return False
        ticket.reading = read(question.text)
        return self._questions.may_find(ticket.context, ticket.reading, now_ms)

    def _from_disk(self, ticket: Ticket, found: Stored | None, now_ms: int, search: Search) -> None:
        if search.over:  # nobody waits any more: nothing was saved
            return
        if found is None or not self._stands(ticket, found, now_ms):
            self._by_meaning(ticket, now_ms, search)
            return
        ends_ms = min(found.expires_ms, found.stored_ms + self._exact_ms)
        self._memory.put(ticket.key, msgspec.structs.replace(found, expires_ms=ends_ms))
        search.answer(self._hit(found, "exact", now_ms))

    def _stands(self, ticket: Ticket, found: Stored, now_ms: int) -> bool:
        """Whether what an earlier configuration kept would be kept, for so long, by this one."""
        young = 0 <= now_ms - found.stored_ms + _TICK_MS < self._exact_ms + _TICK_MS
        return young and not objection(
            ticket.asked.endpoint, found.form, found.status, found.body, self._tools
        )

    def _by_meaning(self, ticket: Ticket, now_ms: int, search: Search) -> None:
        question, embedder = ticket.question, self._embedder
        if question is None or embedder is None or search.over:
            self._misses += 1
            search.answer(None)
            return
        search.stop = embedder.embed(
            question.text, lambda vector: search.answer(self._nearest(ticket, vector, now_ms))
        )

    def _nearest(self, ticket: Ticket, vector: Vector | None, now_ms: int) -> Hit | None:
        ticket.vector = vector
        if vector is not None and self._questions is not None and ticket.reading is not None:
            alike = self._questions.find(ticket.context, ticket.reading, vector, now_ms)
            found = None if alike is None else self._memory.get(alike.key, now_ms)
            if alike is not None and found is not None:
                return self._hit(found, "semantic", now_ms, alike.likeness)
        self._misses += 1
        return None

    def _remember_question(self, ticket: Ticket, expires_ms: int) -> None:
        question, reading, index = ticket.question, ticket.reading, self._questions
        if question is None or reading is None or index is None or self._embedder is None:
            return

        def put(vector: Vector | None) -> None:
            if vector is not None:
                index.put(ticket.context, reading, vector, ticket.key, expires_ms)

        if ticket.vector is not None:
            put(ticket.vector)
        else:
            self._embedder.embed(question.text, put)

    def _hit(self, stored: Stored, kind: Kind, now_ms: int, likeness: float = 1.0) -> Hit:
        if kind == "exact":
            self._exact_hits += 1
        else:
            self._semantic_hits += 1
        self._saved_nanos += stored.cost_nanos
        return Hit(stored=stored, kind=kind, age_s=stored.age_s(now_ms), likeness=likeness)


def whole_of(endpoint: str, stream: Stored) -> Stored | None:
    """A kept stream as the whole answer of the same dialect; None when that cannot be said."""
    try:
        document = gathered(endpoint, stream.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if document is None:
        return None
    dialect = _DIALECTS.get(endpoint)
    if dialect is not None and not document.get("usage") and stream.usage != Usage():
        document["usage"] = usage_object(dialect, stream.usage)
    headers = (
        *(line for line in stream.headers if line[0] != b"content-type"),
        (b"content-type", b"application/json"),
    )
    return msgspec.structs.replace(stream, form="whole", headers=headers, body=msgspec.json.encode(document))

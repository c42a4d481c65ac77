"""How answers did: taken in over the control API, written to the ledger, counted, kept between starts.

The ledger is the truth; `home/routing/beliefs.json` only saves reading all of it at each start, and is made
from it when it is missing or cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freehold.app.to_the_end import to_the_end
from freehold.app.whole_file import replace_file
from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.outcomes import PPM, Said, outcome_receipt, outcomes
from freehold.receipts.query import find
from freehold.routing.outcomes import WEIGHTS, Beliefs, Outcome, Source, Tally
from freehold.routing.router import Router
from freehold.routing.world import Place

if TYPE_CHECKING:
    from freehold.routing.jury import Jury
    from freehold.routing.learned import Learned
    from freehold.web.money import BeliefView, OutcomeView

FILE = Path("routing") / "beliefs.json"
LEARNED = Path("routing") / "learned.bin"
"""What the reader of prompts has learned: numbers, no prompts. The ledger has none either, so this cannot be
made anew."""
AGREEMENT = Path("routing") / "agreement.bin"
"""What outcomes of answers that were held against each other have taught: numbers, no texts."""
_SAVE_EVERY = 50
_SAVE_AFTER_S = 20.0


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """`entries`: so many entries of the ledger are counted in."""

    v: int = 1
    entries: int = 0
    tallies: dict[str, dict[str, Tally]] = {}
    said: list[Outcome] = []
    """The newest of them, which may be said again."""


class OutcomeBook:
    """See the module. Lives on the event loop's thread; `load` and `save` read and write files."""

    def __init__(
        self,
        home: Path,
        router: Router,
        clock: Clock,
        append: Callable[[Receipt], None],
        next_id: Callable[[int], str],
        entries: Callable[[], int],
    ) -> None:
        """`append` writes to the ledger, `entries` says how many entries it has."""
        self._home = home
        self._router = router
        self._clock = clock
        self._append = append
        self._next_id = next_id
        self._entries = entries
        self._unsaved = 0
        self._written = b""
        """The beliefs, as they stand in the file."""
        self._learned: Learned | None = None
        router.on_outcome = self.noticed

    def load(self) -> None:
        """Take up what was believed at the last end. Blocking: before the first call."""
        self._router.beliefs = load_beliefs(self._home)

    async def load_learner(self) -> None:
        """From now on prompts are read, too: some 50 ms and 16 MB, for who leaves choices to us."""
        self._learned = self._router.learner = await asyncio.to_thread(load_learned, self._home)

    async def load_jury(self) -> None:
        """From now on answers can be held against each other, for who wants that."""
        self._router.jury = await asyncio.to_thread(load_jury, self._home)

    async def post(self, body: bytes) -> OutcomeView:
        """Record what somebody says of an answer. Raises FreeholdError with what is wrong with `body`."""
        from freehold.web.money import OutcomeIn  # noqa: PLC0415 - the API's values come with its first question

        try:
            said = msgspec.json.decode(body, type=OutcomeIn)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FreeholdError(f"that is no outcome: {error}") from error
        score = {"pass": 1.0, "fail": 0.0}[said.score] if isinstance(said.score, str) else said.score
        if not 0.0 <= score <= 1.0:
            raise FreeholdError(f"score is from 0 to 1, or pass or fail; not {score:g}")
        _, receipt = await asyncio.to_thread(find, self._home, said.receipt)
        if receipt.kind != "call" or not receipt.deployment:
            raise FreeholdError(f"{receipt.id} is no call that somebody answered")
        task = said.task or receipt.task or self._router.task_of(receipt.id)
        outcome = Outcome(
            task=task, deployment=receipt.deployment, score=score, source=said.source, receipt=receipt.id
        )
        entry = self._write(outcome, receipt, said.note)
        self._router.learn(outcome)
        if self._unsaved >= _SAVE_EVERY:
            await self.save()
        return self._view(entry, outcome)

    def noticed(self, outcome: Outcome) -> None:
        """The router saw it and has counted it: a question asked again, an answer that was sent up."""
        self._write(outcome, None, "")

    def compared(self, outcome: Outcome, of: str, agent: str, note: str) -> None:
        """An answer to a call by `agent` was held against that of call `of`, which had the same prompt."""
        self._router.learn(outcome, of)
        self._write(outcome, None, note, agent)

    @property
    def home(self) -> Path:
        return self._home

    def entries(self) -> int:
        """So many entries the ledger has."""
        return self._entries()

    async def save(self) -> None:
        """Write the beliefs down, and what was learned of prompts and of comparing."""
        self._unsaved = 0
        await self._save_beliefs()
        if self._learned is not None:
            await self._save_learned(self._learned)
        if self._router.jury is not None:
            await self._save_jury(self._router.jury)

    async def _save_beliefs(self) -> None:
        tallies = {task: dict(row) for task, row in self._router.beliefs.tallies.items()}
        data = msgspec.json.encode(
            _File(entries=self._entries(), tallies=tallies, said=self._router.beliefs.said)
        )
        if data != self._written:
            await to_the_end(replace_file, self._home / FILE, data)
            self._written = data

    async def _save_learned(self, learned: Learned) -> None:
        from freehold.routing.learned import grown  # noqa: PLC0415 - it is there already

        due, kept = learned.due, learned.kept()
        await to_the_end(replace_file, self._home / LEARNED, kept)
        estimator = await asyncio.to_thread(grown, kept) if due else None
        if estimator is not None:
            learned.use(estimator)

    async def _save_jury(self, jury: Jury) -> None:
        due, kept = jury.due, jury.kept()
        await to_the_end(replace_file, self._home / AGREEMENT, kept)
        grown = await asyncio.to_thread(jury.grown, kept) if due else None
        if grown is not None:
            jury.use(grown)

    async def keep(self) -> None:
        """Write down beside the calls what changed, until cancelled: that answers were given stands in no
        entry of the ledger, and of what was noticed nobody is told."""
        while True:
            await asyncio.sleep(_SAVE_AFTER_S)
            with contextlib.suppress(OSError):
                await (self.save() if self._unsaved else self._save_beliefs())

    def beliefs(self) -> list[BeliefView]:
        """Everything that rests on outcomes, the most tried first."""
        return belief_views(self._router.beliefs, self._router.places)

    def _write(self, outcome: Outcome, call: Receipt | None, note: str, agent: str = "") -> Receipt:
        now_ms = self._clock.now_ms()
        said = Said(
            of=outcome.receipt,
            score_ppm=round(outcome.score * PPM),
            source=outcome.source,
            task=outcome.task,
            deployment=outcome.deployment,
            note=note,
            agent=call.agent if call else agent,
            project=call.project if call else "",
            session=call.session if call else "",
        )
        entry = outcome_receipt(said, self._next_id(now_ms), now_ms)
        self._append(entry)
        self._unsaved += 1
        return entry

    def _view(self, entry: Receipt, outcome: Outcome) -> OutcomeView:
        from freehold.web.money import OutcomeView  # noqa: PLC0415 - as above

        place = next((one for one in self._router.places if one.name == outcome.deployment), None)
        now = _belief_view(self._router.beliefs, outcome.task, outcome.deployment, place)
        return OutcomeView(
            id=entry.id,
            receipt=outcome.receipt,
            task=outcome.task,
            deployment=outcome.deployment,
            score=outcome.score,
            chance=now.chance,
            deviation=now.deviation,
            trials=now.trials,
        )


def load_beliefs(home: Path) -> Beliefs:
    """From the file, and what the ledger has since; from the ledger alone when the file cannot be used.
    Without a ledger there are none. Blocking."""
    try:
        kept = msgspec.json.decode((home / FILE).read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        kept = _File()
    if kept.v != 1:
        kept = _File()
    beliefs = Beliefs(kept.tallies)
    beliefs.remember(kept.said)
    try:
        for said in outcomes(home, kept.entries):
            if (outcome := outcome_from(said)) is not None:
                beliefs.learn(outcome)
    except LedgerError:
        pass  # none yet; a damaged one is told by those who own it
    return beliefs


def load_learned(home: Path) -> Learned:
    """The reader of prompts with what it has learned, or as it was shipped. Blocking."""
    from freehold.routing.learned import Learned, grown  # noqa: PLC0415 - for who leaves choices to us

    try:
        return Learned(grown((home / LEARNED).read_bytes()))
    except OSError:
        return Learned()


def load_jury(home: Path) -> Jury:
    """With what it has learned, or new. Blocking."""
    from freehold.routing.jury import Jury  # noqa: PLC0415 - for who compares answers

    try:
        return Jury.grown((home / AGREEMENT).read_bytes()) or Jury()
    except OSError:
        return Jury()


def belief_views(beliefs: Beliefs, places: Sequence[Place] = ()) -> list[BeliefView]:
    """Everything that rests on outcomes, the most tried first."""
    known = {place.name: place for place in places}
    rows = [
        _belief_view(beliefs, task, name, known.get(name))
        for task, row in beliefs.tallies.items()
        for name in row
    ]
    return sorted(rows, key=lambda row: -row.trials)


def outcome_from(said: Said) -> Outcome | None:
    """An entry as `routing` counts it; None when its source is none that is known here."""
    source: Source | None = next((known for known in WEIGHTS if known == said.source), None)
    if source is None or not said.deployment:
        return None
    return Outcome(
        task=said.task, deployment=said.deployment, score=said.score_ppm / PPM, source=source, receipt=said.of
    )


def _belief_view(beliefs: Beliefs, task: str, deployment: str, place: Place | None) -> BeliefView:
    from freehold.web.money import BeliefView  # noqa: PLC0415 - only for who asks

    tier = place.tier if place is not None else "balanced"
    now = beliefs.belief(task, deployment, tier)
    return BeliefView(
        task=task, deployment=deployment, chance=now.mean, deviation=now.deviation, trials=now.trials
    )

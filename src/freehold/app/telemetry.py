"""OpenTelemetry that comes in: taken, understood, made into receipts, passed on to a collector.

`receive` answers the exporter at once. What it told rests for a moment, so that the receipt of a call that
came through here, and the spans around a call, are there when it is decided; `keep` decides. Nothing of this
is in the gateway's way: its receipts are read from the log.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from freehold.adapters.telemetry.intake import Answer, Refused, encoding_of, read_request, refusal, success
from freehold.adapters.telemetry.observe import Told, identities, observe
from freehold.adapters.telemetry.signals import Batch, Signal
from freehold.app.telemetry_forward import Forwarder
from freehold.app.telemetry_prices import charge_of, provider_at
from freehold.app.telemetry_recent import LedgerMemory
from freehold.app.telemetry_rest import Kept, RestLog, lines_of
from freehold.core.catalog import Provider
from freehold.core.clock import Clock
from freehold.core.config_telemetry import TelemetryConfig
from freehold.core.observed import Observed
from freehold.costs.book import PriceBook
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.observed import Charge, hashed, observed_receipt
from freehold.receipts.recognise import in_order

REST_S = 1.0
"""How long what was told rests before it is decided."""
EVENT_REST_S = 6.0
"""Of events that repeat a span: exporters send spans every five seconds."""
MOST_WAITING = 50_000
"""Calls and tool uses that rest; then exporters are told to come later."""
MOST_BYTES = 64 * 1024 * 1024
"""Of requests that are being read at the same time."""
_AT_ONCE_BYTES = 16 * 1024
"""Smaller requests are read on the loop: handing them to a thread takes longer."""
_WRITE_AT_ONCE_BYTES = 256 * 1024
_SLICE = 16
"""Receipts made before other work has its turn."""
_MOST_SEEN = 200_000

Complain = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class HouseTelemetry:
    """Owns what rests and what is to be passed on. For the event loop's thread."""

    def __init__(
        self,
        config: TelemetryConfig,
        home: Path,
        append: Callable[[Receipt], None],
        next_id: Callable[[int], str],
        prices: Callable[[], PriceBook],
        clock: Clock,
    ) -> None:
        """`append` puts a receipt into the ledger (and what it cost into the budgets)."""
        self._config = config
        self._append = append
        self._next_id = next_id
        self._prices = prices
        self._clock = clock
        self._memory = LedgerMemory(home)
        self._providers: Callable[[], Mapping[str, Provider]] = dict
        self._own: frozenset[str] = frozenset()
        self._resting: list[tuple[float, int, Observed]] = []
        """When it is due, in which file it stands, and what it is."""
        self._rest = RestLog(home)
        self._took_up = False
        self._taking_up = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._bytes = 0
        self._keeping = set[asyncio.Future[bool]]()
        self._reader = asyncio.Semaphore(1)
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.forwarder = Forwarder(config)
        self.counts: dict[str, int] = {}
        """How many became receipts (`new`), or why they did not."""

    def use_port(self, port: int, providers: Callable[[], Mapping[str, Provider]] = dict) -> None:
        """The port is open: calls that went to it have receipts. `providers`: the configured ones."""
        hosts = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "host.docker.internal")  # noqa: S104 - compared
        self._own = frozenset(f"{host}:{port}" for host in hosts)
        self._providers = providers

    def use(self, config: TelemetryConfig) -> None:
        """Another configuration is in force."""
        self._config = config
        self.forwarder.use(config)

    def close(self) -> None:
        """Let the ledger's files and the collector's connection go."""
        self._memory.close()
        self._rest.close()
        self.forwarder.close()

    # -- taking in

    async def receive(self, signal: Signal, body: bytes, content_type: str, content_encoding: str) -> Answer:
        """One OTLP/HTTP request. Never raises for what is wrong with it: the answer says so."""
        encoding = encoding_of(content_type) or "json"
        full = len(self._resting) >= MOST_WAITING
        if full or (self._bytes and self._bytes + len(body) > MOST_BYTES):
            return refusal(encoding, 503, "there is too much to read at the moment; send it again later")
        self._bytes += len(body)
        try:
            batch, told, marks, line = await self._read(signal, body, content_type, content_encoding)
        except Refused as refused:
            return refused.answer
        finally:
            self._bytes -= len(body)
        resting = asyncio.ensure_future(self._let_rest(told, line))
        self._keeping.add(resting)  # to its end, also when the exporter leaves: what was kept must rest
        resting.add_done_callback(self._keeping.discard)
        if not await asyncio.shield(resting):
            return refusal(encoding, 503, "what it tells cannot be written to the disk; send it again later")
        if self._is_new(marks):
            self.forwarder.take(signal, body, content_type, content_encoding)
        rejected = batch.rejected + told.unread
        words = f"{batch.rejected} without valid ids" if batch.rejected else ""
        if told.unread:
            words = "token counters are read with delta temporality only"
        return success(signal, encoding, rejected, words)

    async def _let_rest(self, told: Told, line: bytes) -> bool:
        """On the disk first: what the exporter hears is taken shall not be lost when we are killed. What
        tells of no call is on the disk only where it may lie around one that rests."""
        number = 0
        if told.observed or (told.parents and self._resting):
            try:
                if len(line) <= _WRITE_AT_ONCE_BYTES and not self._rest.busy:
                    number = self._rest.keep(line)
                else:
                    number = await asyncio.to_thread(self._rest.keep, line)
            except OSError:
                return False
            self._rest.unpin(number)
        self._memory.recent.link(told.parents)
        if told.observed:
            now_s = self._clock.monotonic_s()
            rest = {False: now_s + REST_S, True: now_s + EVENT_REST_S}
            self._resting += [(rest[each.repeats], number, each) for each in told.observed]
            self._arrived.set()
        return True

    async def _read(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str
    ) -> tuple[Batch, Told, list[int], bytes]:
        from_metrics = self._config.from_metrics
        forwards = self.forwarder.wanted

        def read() -> tuple[Batch, Told, list[int], bytes]:
            batch = read_request(signal, body, content_type, content_encoding)
            marks = list(identities(batch)) if forwards else []
            told = observe(batch, from_metrics=from_metrics)
            told = msgspec.structs.replace(told, observed=tuple(hashed(each) for each in told.observed))
            parents = tuple((*span, parent) for span, parent in told.parents.items())
            return batch, told, marks, lines_of(Kept(told.observed, parents))

        if len(body) <= _AT_ONCE_BYTES and not content_encoding:
            return read()
        async with self._reader:  # one at a time: they would only share the interpreter
            return await asyncio.to_thread(read)

    def _is_new(self, marks: list[int]) -> bool:
        """Whether something of it was never here. What a collector sends back is not sent to it again."""
        before = len(self._seen)
        known = sum(mark in self._seen for mark in marks)
        self._seen.update(dict.fromkeys(marks))
        while len(self._seen) > max(_MOST_SEEN, before):
            self._seen.popitem(last=False)
        return not marks or known < len(marks)

    # -- deciding

    async def keep(self, complain: Complain = _silent) -> None:
        """Decide what has rested, and pass on to the collector, until cancelled; then decide the rest."""
        try:
            await self._take_up()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._decide_rested(complain), name="receipts of telemetry")
                group.create_task(self.forwarder.keep(complain), name="telemetry to the collector")
        finally:
            self._finish(complain)
            self.close()

    async def settle(self) -> None:
        """Decide everything that was told, rested or not."""
        await self._take_up()
        await self._decide(self._take(None))

    async def _take_up(self) -> None:
        """What an earlier run was told, and was killed before it decided."""
        async with self._taking_up:
            if self._took_up:
                return
            left = await asyncio.to_thread(lambda: list(self._rest.left()))
            self._took_up = True
        now_s = self._clock.monotonic_s()
        for number, kept in left:
            self._memory.recent.link({(trace, span): parent for trace, span, parent in kept.parents})
            self._resting += [(now_s, number, each) for each in kept.observed]
        if self._resting:
            self._arrived.set()
        else:
            self._rest.decided(None)

    async def _decide_rested(self, complain: Complain) -> None:
        told = False
        while True:
            await self._arrived.wait()
            await asyncio.sleep(REST_S)
            try:
                await self._decide(self._take(self._clock.monotonic_s()))
                told = False
            except LedgerError as error:
                if not told:
                    complain(f"calls that telemetry tells of cannot be recorded: {error}")
                told = True

    def _take(self, now_s: float | None) -> list[tuple[int, Observed]]:
        """What is due by now (None: all), and in which files; the rest goes on resting."""
        ripe = [each[1:] for each in self._resting if now_s is None or each[0] <= now_s]
        self._resting = [each for each in self._resting if now_s is not None and each[0] > now_s]
        if not self._resting:
            self._arrived.clear()
        return ripe

    def _put_back(self, undecided: Sequence[Observed], oldest: int) -> None:
        due_s = self._clock.monotonic_s()
        self._resting[:0] = [(due_s, oldest, each) for each in undecided]
        if undecided:
            self._arrived.set()
        self._rest.decided(min((number for _, number, _ in self._resting), default=None))

    async def _decide(self, taken: Sequence[tuple[int, Observed]]) -> None:
        """What is not decided in the end, because the ledger refuses or it is cancelled, goes on resting."""
        if not taken:
            return
        pool = [each for _, each in taken]
        left = deque(pool)
        ordering = asyncio.ensure_future(asyncio.to_thread(self._ordered, pool))
        try:
            left = deque(await asyncio.shield(ordering))
            for made, _ in enumerate(self._decisions(left), 1):
                if made % _SLICE == 0:
                    await asyncio.sleep(0)
        finally:
            self._put_back(left, min(number for number, _ in taken))
            if not ordering.done():  # the memory is for one at a time
                await ordering

    def _finish(self, complain: Complain) -> None:
        try:
            for _ in self._decisions(deque(self._ordered([each for _, each in self._take(None)]))):
                pass
            if self._took_up:  # else there are files that nobody has read: the next start does
                self._rest.decided(None)
        except LedgerError as error:
            complain(f"the last calls that telemetry told of could not be recorded: {error}")

    def _ordered(self, pool: Sequence[Observed]) -> list[Observed]:
        """In the order in which to decide, with the newest entries of the ledger known. Takes a while."""
        self._memory.follow()
        return in_order(pool, self._memory.recent)

    def _decisions(self, left: deque[Observed]) -> Iterator[None]:
        """One after the other, because each may be what the next one repeats; takes from `left` what is
        decided. Raises LedgerError."""
        recent = self._memory.recent
        counted = {
            (each.trace_id, each.span_id)
            for each in left
            if each.kind == "call" and each.span_id and each.usage_raw
        }
        while left:
            seen = left[0]
            bare = seen.kind == "call" and not seen.usage_raw and not seen.error
            if bare and recent.wraps_one_of(seen, counted):
                why = "within"  # the span around it has the counts
            else:
                why = recent.recognise(seen, self._own, elsewhere=self._is_elsewhere(seen.address))
            if not why and seen.kind != "passage":
                self._record(seen)
            left.popleft()
            if seen.kind != "passage":
                self.counts[why or "new"] = self.counts.get(why or "new", 0) + 1
            yield

    def _is_elsewhere(self, address: str) -> bool:
        """A provider's place. What is at other addresses, like a proxy's, may be before ours."""
        if not address:
            return False
        configured = provider_at(address, self._providers())
        return configured is not None or self._prices().price_id_of(f"https://{address}/") is not None

    def _record(self, seen: Observed) -> None:
        now_ms = self._clock.now_ms()
        charge = Charge(state="free")
        if seen.kind == "call":
            charge = charge_of(seen, self._prices(), self._providers())
        receipt = observed_receipt(seen, charge, self._next_id(now_ms), now_ms)
        try:
            self._append(receipt)
        except LedgerError:
            self._memory.recent.undecide(seen)
            raise
        self._memory.recent.add(receipt)

"""Slots of a server: never over-used, never lost; the queue is bounded, fair, and honest about waiting."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerSpec
from freehold.supervisor.slots import Slots, Waiter

URL = "http://127.0.0.1:7"


def ask(call: str = "c", caller: str = "a", priority: int = 50, max_wait_s: float | None = None) -> LeaseAsk:
    return LeaseAsk(call, caller, b"{}", priority, max_wait_s)


def slots(count: int = 1, **spec: object) -> Slots:
    return Slots(ServerSpec(name="local", slots=count, **spec))


class Heard:
    """A callback that keeps what it is told."""

    def __init__(self) -> None:
        self.answer: Lease | LeaseRefusal | None = None

    def __call__(self, answer: Lease | LeaseRefusal) -> None:
        assert self.answer is None, "told twice"
        self.answer = answer


def queue(of: Slots, wanted: LeaseAsk, now_s: float = 0.0) -> Waiter:
    waiter = of.join(wanted, Heard(), now_s)
    assert isinstance(waiter, Waiter)
    return waiter


def order(of: Slots, now_s: float = 0.0) -> list[str]:
    """Calls in the order in which they go, one slot at a time."""
    went: list[str] = []
    while granted := of.grant(URL, now_s):
        for _, lease in granted:
            went.append(lease.call_id)
            of.give_back(lease, now_s)
    return went


def test_a_slot_is_had_at_once_while_one_is_free():
    server = slots(2)
    first, second = server.take(URL, ask("1"), 5.0), server.take(URL, ask("2"), 6.0)
    assert first is not None
    assert second is not None
    assert (first.server, first.base_url, first.call_id, first.since_s) == ("local", URL, "1", 5.0)
    assert server.take(URL, ask("3"), 7.0) is None
    server.give_back(first, 8.0)
    assert server.in_flight == (second,)
    assert server.take(URL, ask("3"), 9.0) is not None


def test_nobody_passes_those_who_wait():
    server = slots(1)
    queue(server, ask("waits"))
    assert server.take(URL, ask("comes later"), 1.0) is None
    assert order(server) == ["waits"]


def test_a_slot_that_is_given_back_twice_is_one_slot():
    server = slots(1)
    lease = server.take(URL, ask(), 0.0)
    assert lease is not None
    server.give_back(lease, 1.0)
    server.give_back(lease, 2.0)
    assert server.take(URL, ask(), 3.0) is not None
    assert server.take(URL, ask(), 3.0) is None


def test_callers_take_turns_whoever_has_more():
    server = slots(1)
    for number in range(3):
        queue(server, ask(f"greedy {number}", "greedy"))
    queue(server, ask("modest", "modest"))
    queue(server, ask("other", "other"))
    assert order(server) == ["greedy 0", "modest", "other", "greedy 1", "greedy 2"]


def test_a_smaller_priority_number_goes_first():
    server = slots(1)
    for number, priority in enumerate((50, 90, 10, 50)):
        queue(server, ask(f"{priority}/{number}", priority=priority))
    assert server.top_priority == 10
    assert order(server) == ["10/2", "50/0", "50/3", "90/1"]
    assert server.top_priority is None


def test_the_queue_is_bounded_and_says_when_to_come_back():
    server = slots(2, max_queue=2)
    leases = [server.take(URL, ask(), 0.0), server.take(URL, ask(), 0.0)]
    for lease in leases:
        assert lease is not None
        server.give_back(lease, 4.0)  # calls take 4 s here
    server.take(URL, ask(), 4.0)
    server.take(URL, ask(), 4.0)
    queue(server, ask())
    queue(server, ask())
    refusal = server.join(ask(), Heard(), 4.0)
    assert isinstance(refusal, LeaseRefusal)
    assert refusal.code == "queue_full"
    assert refusal.retry_after_s == pytest.approx(6.0)  # two before it, and one slot every 2 s


def test_who_waited_long_enough_is_told_and_is_gone():
    server = slots(1, max_wait_s=100.0)
    taken = server.take(URL, ask(), 0.0)
    patient, hurried = queue(server, ask("patient"), 1.0), queue(server, ask("hurried", max_wait_s=2.5), 1.0)
    assert server.next_deadline_s == 3.5
    assert server.overdue(3.4) == []
    ((callback, refusal),) = server.overdue(3.5)
    assert callback is hurried.callback
    assert (refusal.code, refusal.message) == (
        "waited_too_long",
        "model server 'local' had no free slot within 2.5 s",
    )
    assert server.next_deadline_s == 101.0
    assert taken is not None
    server.give_back(taken, 4.0)
    assert [callback for callback, _ in server.grant(URL, 4.0)] == [patient.callback]
    assert server.next_deadline_s is None
    assert server.overdue(1000.0) == []


def test_a_call_that_does_not_wait_is_refused_at_once():
    refusal = slots(1).join(ask(max_wait_s=0.0), Heard(), 0.0)
    assert isinstance(refusal, LeaseRefusal)
    assert refusal.code == "waited_too_long"


def test_who_left_is_passed_over():
    server = slots(1)
    left, stays = queue(server, ask("left")), queue(server, ask("stays"))
    server.leave(left)
    server.leave(left)
    assert order(server) == ["stays"]
    assert (left.lease, stays.lease is None) == (None, False)


def test_a_draining_server_gives_no_slot_and_keeps_its_queue():
    server = slots(1)
    queue(server, ask("waits"))
    server.open = False
    assert server.take(URL, ask(), 0.0) is None
    assert server.grant(URL, 0.0) == []
    server.open = True
    assert order(server) == ["waits"]


def test_all_who_wait_can_be_told_the_same():
    server = slots(1)
    callbacks = [queue(server, ask(str(number), str(number))).callback for number in range(3)]
    gone = LeaseRefusal(code="failed", message="it has failed")
    assert server.refuse_all(gone) == [(callback, gone) for callback in callbacks]
    assert not server.busy
    assert server.next_deadline_s is None
    assert server.take(URL, ask(), 0.0) is not None


def test_the_wait_is_estimated_from_what_calls_took():
    server = slots(2)
    assert server.estimated_wait_s(0.0) == 0.0
    first, second = server.take(URL, ask(), 0.0), server.take(URL, ask(), 0.0)
    assert server.estimated_wait_s(0.0) is None  # busy, and no call has ended yet
    assert first is not None
    assert second is not None
    server.give_back(first, 10.0)
    assert server.estimated_wait_s(10.0) == 0.0
    server.take(URL, ask(), 10.0)
    assert server.estimated_wait_s(10.0) == pytest.approx(5.0)
    server.give_back(second, 20.0, measured=False)  # it broke: nothing is learned
    server.take(URL, ask(), 20.0)
    assert server.estimated_wait_s(10.0) == pytest.approx(5.0)


def test_the_load_is_seen():
    server = slots(1)
    lease = server.take(URL, ask(), 0.0)
    queue(server, ask(), 3.0)
    queue(server, ask(priority=1), 4.0)
    load = server.load(10.0)
    assert (load.in_flight, load.queued, load.oldest_wait_s, load.last_used_s) == (1, 2, 7.0, None)
    assert lease is not None
    server.give_back(lease, 11.0)
    assert server.load(12.0).last_used_s == 11.0


def test_uses_are_counted_and_forgotten():
    server = slots(1000)
    assert server.uses_per_hour(0.0) == 0.0
    for number in range(600):  # one a second, for ten minutes
        server.take(URL, ask(), float(number))
    assert server.uses_per_hour(600.0) == pytest.approx(3600 * 0.487, rel=0.02)  # 1 - exp(-600/900)
    assert server.uses_per_hour(600.0 + 4 * 3600) < 1


def test_a_queue_that_people_join_and_leave_does_not_grow():
    server = slots(1)
    stays = queue(server, ask("stays"))
    for number in range(5000):
        server.leave(queue(server, ask(str(number), str(number)), float(number)))
    assert len(server._deadlines) < 200
    assert server.next_deadline_s == stays.deadline_s


def test_a_new_specification_counts_from_now_on():
    server = slots(2)
    held = [server.take(URL, ask(), 0.0) for _ in range(2)]
    server.use(ServerSpec(name="local", slots=1))
    queue(server, ask("waits"))
    assert held[0] is not None
    server.give_back(held[0], 1.0)
    assert server.grant(URL, 1.0) == []  # one is out still, and one is all there may be
    server.use(ServerSpec(name="local", slots=3))
    assert len(server.grant(URL, 1.0)) == 1


class SlotsMachine(RuleBasedStateMachine):
    """Any order of events, against what was promised."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.slots = slots(2, max_queue=6, max_wait_s=20.0)
        self.held: list[Lease] = []
        self.waiting: list[Waiter] = []
        self.passed: dict[int, Counter[str]] = {}
        """By who stands first for its caller: how often each other caller of its priority went since."""
        self.calls = 0

    def first_of(self, priority: int, caller: str) -> Waiter | None:
        mine = [w for w in self.waiting if (w.ask.priority, w.ask.caller) == (priority, caller)]
        return mine[0] if mine else None

    def next_ask(self, caller: str, priority: int, max_wait_s: float | None) -> LeaseAsk:
        self.calls += 1
        return ask(str(self.calls), caller, priority, max_wait_s)

    @rule(caller=st.sampled_from("abc"), priority=st.sampled_from((10, 50)))
    def take(self, caller: str, priority: int) -> None:
        expected = len(self.held) < 2 and not self.waiting
        lease = self.slots.take(URL, self.next_ask(caller, priority, None), self.now_s)
        assert (lease is not None) == expected
        if lease is not None:
            self.held.append(lease)

    @rule(
        caller=st.sampled_from("abc"),
        priority=st.sampled_from((10, 50)),
        max_wait_s=st.sampled_from((None, None, 0.0, 5.0)),
        calls=st.integers(1, 3),
    )
    def join(self, caller: str, priority: int, max_wait_s: float | None, calls: int) -> None:
        for _ in range(calls):
            self.join_one(caller, priority, max_wait_s)

    def join_one(self, caller: str, priority: int, max_wait_s: float | None) -> None:
        wanted = self.next_ask(caller, priority, max_wait_s)
        waiter = self.slots.join(wanted, Heard(), self.now_s)
        if max_wait_s == 0.0:
            assert isinstance(waiter, LeaseRefusal)
        elif len(self.waiting) == 6:
            assert isinstance(waiter, LeaseRefusal)
            assert waiter.code == "queue_full"
        else:
            assert isinstance(waiter, Waiter)
            self.waiting.append(waiter)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        lease = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.slots.give_back(lease, self.now_s)

    @precondition(lambda self: len(self.waiting) > 2)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.slots.leave(self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1))))

    @rule()
    def grant(self) -> None:
        free = 2 - len(self.held)
        granted = self.slots.grant(URL, self.now_s)
        assert len(granted) == min(free, len(self.waiting))
        for callback, lease in granted:
            waiter = next(w for w in self.waiting if w.callback is callback)
            assert waiter.lease is lease
            assert lease.call_id == waiter.ask.call_id
            self.judge_turn(waiter)
            self.waiting.remove(waiter)
            self.held.append(lease)

    def judge_turn(self, waiter: Waiter) -> None:
        priority, caller = waiter.ask.priority, waiter.ask.caller
        assert min(w.ask.priority for w in self.waiting) == priority
        assert self.first_of(priority, caller) is waiter, "first come, first served within a caller"
        for other in "abc":
            first = self.first_of(priority, other)
            if first is not None and other != caller:
                passed = self.passed.setdefault(first.number, Counter())
                passed[caller] += 1
                assert passed[caller] <= 1, "it went twice while another waited for its turn"

    @rule(by_s=st.floats(0.1, 8.0))
    def time_passes(self, by_s: float) -> None:
        self.now_s += by_s
        late = {w.callback for w in self.waiting if w.deadline_s <= self.now_s}
        assert {callback for callback, _ in self.slots.overdue(self.now_s)} == late
        self.waiting = [w for w in self.waiting if w.callback not in late]

    @rule()
    def close_for_a_while(self) -> None:
        self.slots.open = False
        assert self.slots.grant(URL, self.now_s) == []
        assert self.slots.take(URL, self.next_ask("a", 50, None), self.now_s) is None
        self.slots.open = True

    @precondition(lambda self: len(self.waiting) == 6)
    @rule()
    def fail(self) -> None:
        told = self.slots.refuse_all(LeaseRefusal(code="failed", message=""))
        assert {callback for callback, _ in told} == {waiter.callback for waiter in self.waiting}
        self.waiting = []

    @invariant()
    def nothing_is_lost_or_made_up(self) -> None:
        assert set(self.slots.in_flight) == set(self.held)
        assert len(self.held) <= 2
        load = self.slots.load(self.now_s)
        assert (load.in_flight, load.queued) == (len(self.held), len(self.waiting))
        expected = min((waiter.deadline_s for waiter in self.waiting), default=None)
        assert self.slots.next_deadline_s == expected
        assert self.slots.busy == bool(self.held or self.waiting)


TestSlotsMachine = SlotsMachine.TestCase
TestSlotsMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

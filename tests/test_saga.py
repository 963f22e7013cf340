"""A saga is a pure machine: whatever befalls its messages, it ends done or undone, with no clock and no broker."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.event import Event
from evsim.lab.order_steps import DOERS
from evsim.lab.order_steps import PLAN as ORDERS
from evsim.patterns.inbox import Inbox, Memory
from evsim.patterns.participant import choreographed, luck, participant, reactions
from evsim.patterns.saga import Plan, Step, fact_of
from evsim.patterns.saga_odds import compensations, stuck, success, with_retries

RESERVE = Step("reserve.stock", undo="release.stock", timeout_s=5, retries=1)
CHARGE = Step("charge.card", undo="refund.card", timeout_s=5, retries=2)
BOOK = Step("book.courier", undo="cancel.courier", timeout_s=5)
SHIP = Step("ship.order", pivot=True, timeout_s=5)
TELL = Step("send.mail", timeout_s=5)

PLAIN = Plan("order.placed", steps=(RESERVE, CHARGE, BOOK))
WHOLE = Plan("order.placed", steps=(RESERVE, (CHARGE, BOOK), SHIP, TELL))


class Ctx:
    """What a participant needs of a context: a dictionary and a list."""

    def __init__(self, state):
        self.state, self.sent, self.attempt = state, [], 1

    def emit(self, type_, data=None, *, key=None):
        self.sent.append((type_, dict(data or {})))


class Play:
    """One saga, its participants, and a bag of messages that a test may deliver in any order, twice, or not at all."""

    def __init__(self, plan, **how):
        self.plan, self.state, self.facts = plan, plan.start, []
        self.disk, self.bag, self.timers, self.news, self.log, self.manual = {}, [], [], [], [], []
        self.on = {}
        for step in plan.flat:
            self.on |= participant(step, **how.get(step.do, {}))
        self.tell(plan.starts_on, {"luck": how.get("luck", 0.5)})

    def tell(self, type_, data):
        decision = self.plan.react(self.state, type_, data)
        self.state = decision.state
        self.facts += decision.facts
        self.timers += decision.timers
        for send in decision.sends:
            (self.manual if send.manual else self.bag if send.type in self.on else self.news).append(send)
        assert self.plan.rebuild(self.facts) == self.state, "the state is what its facts say"

    def deliver(self, type_, data):
        if type_ in self.on:
            ctx = Ctx(self.disk)
            self.on[type_](Event("x.1", type_, 0.0, "x", data, key="order-1"), ctx)
            self.log += [sent[0] for sent in ctx.sent]
            self.bag += ctx.sent
        else:
            self.tell(type_, data)

    def pop(self, n):
        message = self.bag.pop(n % len(self.bag))
        self.deliver(message[0], message[1])

    def ring(self, n):
        timer = self.timers.pop(n % len(self.timers))
        self.tell(timer.type, timer.data)

    def finish(self, limit=5000):
        """Fair weather: all that is under way arrives, first come first served, and timers ring when all is quiet."""
        while self.bag or (self.timers and self.state.outcome is None):
            limit -= 1
            assert limit, f"this saga never ends: {self.state}"
            self.pop(0) if self.bag else self.ring(0)
        return self

    def net(self):
        """How often each step is done and not undone."""
        return [self.log.count(s.done_type) - (self.log.count(s.undone_type) if s.undo else 0) for s in self.plan.flat]


def test_all_goes_well():
    play = Play(PLAIN).finish()
    assert play.state.outcome == "completed"
    assert [news.type for news in play.news] == ["order.completed"]
    assert play.log == ["stock.reserved", "card.charged", "courier.booked"]


def test_a_refusal_undoes_what_was_done_newest_first():
    play = Play(PLAIN, **{"book.courier": {"refuses": 1}}).finish()
    assert play.state.outcome == "compensated"
    assert play.log[2:] == ["book-courier.refused", "card.refunded", "stock.released"]
    assert [news.type for news in play.news] == ["order.cancelled"]


def test_a_refusal_is_final_and_a_failure_is_tried_again():
    refused = Play(PLAIN, **{"charge.card": {"refuses": 1}}).finish()
    failed = Play(PLAIN, **{"charge.card": {"fails": 1}}).finish()
    assert refused.log.count("charge-card.refused") == 1
    assert failed.log.count("charge-card.failed") == 1 + CHARGE.retries
    assert "refund.card" not in [*refused.log, *failed.log]
    assert refused.net() == failed.net() == [0, 0, 0]


def test_after_a_timeout_nobody_knows_so_the_step_is_asked_again_and_then_undone():
    play = Play(PLAIN, **{"charge.card": {"mute": 1}}).finish()
    assert play.disk["charge.card/order-1"] == "undone"
    asked = [fact.type for fact in play.facts if fact.data.get("step") == 1 and "saga" not in fact.type]
    assert asked[:8] == ["step.asked", "step.expired"] * 3 + ["step.given_up", "undo.asked"]


def test_a_lost_answer_is_given_again_to_who_asks_again():
    play = Play(PLAIN)
    play.pop(0)  # reserved, and the answer is on its way
    play.bag.clear()  # lost
    play.finish()
    assert play.state.outcome == "completed"
    assert play.log.count("stock.reserved") == 1


def test_a_late_success_is_undone():
    """The saga has given a step up, undone it and ended; then it turns out to have been done after all."""
    plan = Plan("order.placed", steps=(RESERVE, BOOK))
    state = plan.start
    for type_, data in [
        ("order.placed", {}), ("stock.reserved", {}), ("book-courier.expired", {"try": 1}),
        ("cancel-courier.answered", {"answer": "done"}), ("stock.released", {}),
    ]:  # fmt: skip
        state = plan.react(state, type_, data).state
    assert state.outcome == "compensated"
    late = plan.react(state, "courier.booked", {})
    assert [send.type for send in late.sends] == ["cancel.courier"]
    assert plan.react(late.state, "courier.cancelled", {}).state.outcome == "compensated"


def test_behind_the_pivot_nobody_turns_back():
    plan = Plan("order.placed", steps=(CHARGE, SHIP, TELL))
    state = plan.start
    for type_ in ("order.placed", "card.charged", "order.shipped", *["send-mail.failed"] * 9):
        state = plan.react(state, type_, {}).state
    assert not state.turned
    assert state.legs[2].tries == 10
    assert plan.react(state, "mail.sent", {}).state.outcome == "completed"


def test_a_pivot_that_does_not_answer_is_asked_until_one_knows():
    plan = Plan("order.placed", steps=(CHARGE, SHIP))
    state = plan.rebuild(plan.react(plan.start, "order.placed", {}).facts)
    state = plan.react(state, "card.charged", {}).state
    for n in range(1, 6):
        state = plan.react(state, "ship-order.expired", {"try": n}).state
    assert not state.turned
    assert state.legs[1].tries == 6
    assert plan.react(state, "ship-order.refused", {}).state.turned


def test_a_compensation_that_fails_is_retried_and_then_left_to_a_human():
    play = Play(PLAIN, **{"book.courier": {"refuses": 1}, "charge.card": {"undo_fails": 1}}).finish()
    assert play.state.outcome == "stuck"
    assert play.log.count("refund-card.failed") == 1 + CHARGE.undo_retries
    assert [send.type for send in play.manual] == ["refund-card.given_up"]
    assert "stock.released" in play.log, "what can be undone is undone all the same"
    play.deliver("card.refunded", {})  # by hand
    assert play.state.outcome == "compensated"


def test_parallel_steps_are_asked_at_once_and_undone_at_once():
    play = Play(WHOLE)
    play.pop(0), play.pop(0)
    assert [send.type for send in play.bag] == ["charge.card", "book.courier"]
    assert play.finish().net() == [1, 1, 1, 1, 1]
    assert Play(WHOLE, **{"ship.order": {"refuses": 1}}).finish().net() == [0, 0, 0, 0, 0]


def test_what_a_step_tells_is_known_to_the_later_ones():
    state = PLAIN.react(PLAIN.start, "order.placed", {"amount": 9}).state
    decision = PLAIN.react(state, "stock.reserved", {"amount": 9, "shelf": "B2", "try": 1})
    assert decision.sends[0].data == {"amount": 9, "shelf": "B2", "try": 1}


def test_a_step_that_failed_is_asked_again_after_a_wait():
    plan = Plan("order.placed", steps=(Step("charge.card", retries=1, wait_s=3),))
    state = plan.react(plan.start, "order.placed", {}).state
    failed = plan.react(state, "charge-card.failed", {"try": 1})
    assert not failed.sends
    assert failed.timers[0].after_s == 3
    assert plan.waiting(failed.state) == failed.timers
    assert plan.react(failed.state, failed.timers[0].type, failed.timers[0].data).sends[0].type == "charge.card"


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan("order.placed", steps=()), "needs a step"),
        (Plan("order.placed", steps=(Step("card.charged"),)), "is no command"),
        (Plan("order.placed", steps=(CHARGE, CHARGE)), "means two things"),
        (Plan("order.placed", steps=((CHARGE, SHIP),)), "a pivot goes alone"),
        (Plan("order.placed", steps=(SHIP, Step("send.mail", pivot=True))), "two pivots"),
    ],
)
def test_a_plan_says_what_is_wrong_with_it(plan, says):
    assert any(says in problem for problem in plan.problems())


def test_facts_of_commands():
    assert [fact_of(c) for c in ("send.parcel", "reserve.stock", "book.courier")] == [
        "parcel.sent", "stock.reserved", "courier.booked",
    ]  # fmt: skip


SHARES = st.sampled_from([0.0, 0.3, 1.0])
HOWS = st.fixed_dictionaries({"refuses": SHARES, "fails": st.sampled_from([0.0, 0.3]), "undo_fails": st.just(0.0)})


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_order_any_duplicate_any_timer_ends_all_done_or_all_undone(data):
    """The bad weather ends at some time; then every saga ends, and what it has done is whole or gone."""
    plan = data.draw(st.sampled_from([PLAIN, WHOLE]))
    how = {step.do: data.draw(HOWS) for step in plan.flat}
    if plan is WHOLE:
        how["send.mail"] = {}
    play = Play(plan, luck=data.draw(st.integers(0, 10**6)), **how)
    for _ in range(data.draw(st.integers(0, 60))):
        act = data.draw(st.sampled_from(["deliver", "again", "lose", "ring"]))
        n = data.draw(st.integers(0, 50))
        if act == "ring" and play.timers:
            play.ring(n)
        elif play.bag:
            if act == "again":
                play.bag.append(play.bag[n % len(play.bag)])
            elif act == "lose" and all(step.timeout_s for step in plan.flat):
                play.bag.pop(n % len(play.bag))
            else:
                play.pop(n)
    play.finish()
    if play.state.outcome == "stuck":
        assert play.manual, "who is stuck lies before a human"
        return
    assert play.state.outcome in {"completed", "compensated"}
    net = play.net()
    expected = 1 if play.state.outcome == "completed" else 0
    assert set(net) == {expected}, (net, play.facts)


class Boxed(Play):
    """The catalogue's own plan and handlers, and an inbox in front of the saga and of everybody else."""

    def __init__(self, luck):
        self.boxes = {name: Memory(Inbox(), lambda: 0.0) for name in ("saga", "others")}
        self.numbers = count(1)
        super().__init__(ORDERS, luck=luck)
        for handlers in DOERS.values():
            self.on |= handlers

    def numbered(self):
        """Give every message that has none a number of its own; a copy keeps it."""
        self.bag = [m if len(m) == 4 else (m[0], m[1], False, next(self.numbers)) for m in self.bag]

    def pop(self, n):
        self.numbered()
        type_, data, _, number = self.bag.pop(n % len(self.bag))
        box = self.boxes["others" if type_ in self.on else "saga"]
        if str(number) not in box:
            box.add(str(number))
            self.deliver(type_, data)
        self.numbered()


@settings(max_examples=100, deadline=None)
@given(luck=st.integers(0, 10**6), acts=st.lists(st.tuples(st.sampled_from("daar"), st.integers(0, 50)), max_size=60))
def test_the_catalogues_plan_handlers_and_inbox_keep_their_promise_without_a_simulator(luck, acts):
    """Delivered in any order, again, or with a timer in between: a message has one effect, an order one end.

    One that was left to a human may come to its end all the same, when the answers arrive after all.
    """
    play = Boxed(luck)
    for act, n in acts:
        play.numbered()
        if act == "r" and play.timers:
            play.ring(n)
        elif play.bag and act == "a":
            play.bag.append(play.bag[n % len(play.bag)])
        elif play.bag:
            play.pop(n)
    play.finish()
    assert play.state.outcome in {"completed", "compensated"}
    assert set(play.net()) == {1 if play.state.outcome == "completed" else 0}
    told = [news.type for news in play.news]
    assert told in ([ORDERS.news(play.state.outcome)], ["order.stuck", ORDERS.news(play.state.outcome)])


# -------------------------------------------------------------------- the choreographed twin


def dance(plan, **how):
    """Everybody hears everything, and nobody is in charge."""
    disk, bag, heard = {step.do: {} for step in plan.flat}, [(plan.starts_on, {"luck": how.get("luck", 0.5)})], []
    tables = {s.do: choreographed(plan, s, participant(s, **how.get(s.do, {}))) for s in plan.flat}
    while bag:
        type_, data = bag.pop(0)
        heard.append(type_)
        for name, on in tables.items():
            if type_ in on:
                ctx = Ctx(disk[name])
                on[type_](Event("x.1", type_, 0.0, "x", data, key="order-1"), ctx)
                bag += ctx.sent
    return heard


def test_the_table_of_reactions_follows_from_the_steps():
    table = reactions(PLAIN)
    assert [reaction.hears for reaction in table["charge.card"]] == [
        (("stock.reserved",),),
        (("book-courier.refused", "courier.cancelled", "cancel-courier.answered"),),
    ]


def test_behind_the_pivot_nobody_dances_back():
    table = reactions(WHOLE)
    assert all("send-mail.refused" not in group for each in table.values() for r in each for group in r.hears)
    heard = dance(WHOLE, **{"send.mail": {"fails": 0.99}})
    assert heard[-1] == "mail.sent"
    assert "send-mail.failed" in heard


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), shares=st.lists(st.sampled_from([0.0, 0.3]), min_size=10, max_size=10))
def test_both_styles_come_to_the_same_end(seed, shares):
    """The same customers and the same luck: all done here is all done there."""
    for plan in (PLAIN, WHOLE):
        how = {s.do: {"refuses": shares[n], "fails": shares[5 + n]} for n, s in enumerate(plan.flat)}
        if plan is WHOLE:
            how["send.mail"] = {}
        play, heard = Play(plan, luck=seed, **how).finish(), dance(plan, luck=seed, **how)
        net = [heard.count(s.done_type) - (heard.count(s.undone_type) if s.undo else 0) for s in plan.flat]
        assert net == play.net()


# -------------------------------------------------------------------- numbers


def test_the_odds_are_the_published_ones():
    assert success([0.02] * 5) == pytest.approx(0.9039, abs=5e-5)
    assert compensations([0.02] * 5) == pytest.approx(0.1883, abs=5e-5)
    assert [round(success([with_retries(0.05, r)] * 4), 4) for r in (0, 1, 2)] == [0.8145, 0.9900, 0.9995]
    assert stuck([0.05] * 4, 0.05, 2) == pytest.approx(3.3e-5, rel=0.03)


@pytest.mark.parametrize(("n", "p"), [(5, 0.02), (3, 0.1), (6, 0.05)])
def test_the_machine_agrees_with_the_odds(n, p):
    """Within 3 % of the formula, or four standard errors where chance alone is wider."""
    steps = tuple(Step(f"do.part{k}", undo=f"undo.part{k}", undone=f"part{k}.removed") for k in range(n))
    plan = Plan("order.placed", steps=steps)
    runs = 3000
    plays = [Play(plan, luck=seed, **{s.do: {"refuses": p} for s in steps}).finish() for seed in range(runs)]
    done = sum(play.state.outcome == "completed" for play in plays) / runs
    undone = [sum(play.log.count(s.undone_type) for s in steps) for play in plays]
    mean = sum(undone) / runs
    error = (sum((x - mean) ** 2 for x in undone) / runs / runs) ** 0.5
    assert done == pytest.approx(success([p] * n), rel=0.03)
    assert abs(mean - compensations([p] * n)) <= max(0.03 * compensations([p] * n), 4 * error)


def test_luck_is_the_same_for_the_same_customer():
    a = Event("a.1", "order.placed", 0.0, "a", {"luck": 0.25}, key="order-1")
    b = Event("b.7", "charge.card", 9.0, "b", {"luck": 0.25, "try": 2}, key="order-1")
    assert luck(a, "x") == luck(b, "x") != luck(a, "y")
    assert 0 <= luck(a, "x") < 1

"""Aggregates: two ways of writing one; rebuilt from a real store, as of any time, under conflicts, with snapshots."""

from __future__ import annotations

import math
import threading

import pytest
from accounts import ACCOUNT, Account
from databases import new_schema, server
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import BadEvent, BadScenario, Event, store
from evsim.patterns.aggregate import Aggregate, Decider, Draft
from evsim.patterns.handler import Reject
from evsim.patterns.retry import Backoff
from evsim.patterns.snapshot import Every, WhenCostly, best_every
from evsim.store import Conflict, Repository
from evsim.view.snapshots import Snapshots


def command(n, kind, **data):
    return Event(f"till.{n}", kind, float(n), "till", data)


commands = st.lists(
    st.one_of(
        st.builds(lambda amount: ("pay.money", {"amount": amount}), st.integers(1, 50)),
        st.builds(lambda amount: ("withdraw.money", {"amount": amount}), st.integers(1, 50)),
        st.just(("open.account", {"owner": "ann"})),
    ),
    max_size=25,
)


def played(kind, plan, **how):
    """The repository after these commands, with what each of them led to."""
    found, said = Repository(store.open(), kind, **how), []
    for n, (name, data) in enumerate(plan):
        try:
            said.append([(each.type, dict(each.data)) for each in found.handle("7", command(n, name, **data)).events])
        except Reject as problem:
            said.append(str(problem))
    return found, said


# ---------------------------------------------------------------- two ways of writing one


@settings(deadline=None)
@given(commands)
def test_functions_and_class_are_the_same_aggregate(plan):
    (one, said), (other, said_too) = played(ACCOUNT, plan), played(Account, plan)
    assert said == said_too
    state = vars(other.load("7").state)
    assert one.load("7").state == {name: state[name] for name in ("owner", "balance", "limit", "overdrawn")}


def test_a_refused_command_leaves_nothing_behind():
    class Careless(Account):
        def withdraw_money(self, amount):
            self.emit("money.withdrawn", amount=amount)
            raise Reject("too late")

    shop = Repository(store.open(), Careless)
    with pytest.raises(Reject, match="too late"):
        shop.handle("7", command(1, "withdraw.money", amount=5))
    assert shop.load("7").version == -1
    assert shop.load("7").state.balance == 0


def test_what_is_unknown_is_refused_with_what_is_known():
    shop = Repository(store.open(), ACCOUNT)
    with pytest.raises(BadEvent, match=r"did you mean 'withdraw.money'"):
        shop.handle("7", command(1, "withdraw.mony", amount=5))
    with pytest.raises(BadEvent, match=r"could not apply it — did you mean 'money.paid'"):
        Decider("a", 0, {"pay.money": lambda s, d: [("money.payed", {})]}, {"money.paid": lambda s, d: s}).decided(
            0, Draft("pay.money", {})
        )

    class Wrong(Aggregate):
        def pay_money(self):
            self.emit("money.payed")

    wrong = Repository(store.open(), Wrong)
    with pytest.raises(BadEvent, match="no method when_money_payed"):
        wrong.handle("7", command(1, "pay.money"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Decider("a-b", 0, {}, {}), lambda: Decider("a", 0, {"money.paid": _any}, {}),
        lambda: Decider("a", 0, {}, {"pay.money": _any}), lambda: Every(0), lambda: Every(1.5),
        lambda: WhenCostly(0, 1), lambda: best_every(1, 0, 1), lambda: Repository(store.open(), ACCOUNT).as_of("7"),
        lambda: Repository(store.open(), Decider("snapshot", {}, {}, {})),
        lambda: Repository(store.open(), ACCOUNT).as_of("7", at_s="x"),
        lambda: Repository(store.open(), ACCOUNT).as_of("7", at_s=math.nan),
        lambda: Repository(store.open(), ACCOUNT).as_of("7", version="x"),
        lambda: Repository(store.open(), ACCOUNT).as_of("7", version=True),
        lambda: best_every(math.nan, 1, 1), lambda: best_every(1, math.inf, 1), lambda: best_every(1, 1, "x"),
        lambda: best_every(1, 1e-200, 1e-200), lambda: best_every(1e308, 1e-5, 1), lambda: best_every(10**400, 1, 1),
        lambda: WhenCostly("x", 1), lambda: WhenCostly(1, math.nan), lambda: Snapshots("x", 1, 1),
        lambda: Snapshots(1, math.inf, 1), lambda: Snapshots(1, 1e-200, 1e-200),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(BadScenario):
        wrong()


def _any(state, data):
    return []


# ---------------------------------------------------------------- history as truth


def test_state_at_any_version_and_time_and_who_did_what_and_why():
    shop, _ = played(ACCOUNT, [("open.account", {"owner": "ann"}), ("pay.money", {"amount": 30}),
                               ("withdraw.money", {"amount": 10})])  # fmt: skip
    assert [shop.as_of("7", version=n).state["balance"] for n in range(-1, 3)] == [0, 0, 30, 20]
    assert [shop.as_of("7", at_s=at).state["balance"] for at in (0.5, 1.0, 1.9, 2.0, 99.0)] == [0, 30, 30, 20, 20]
    trail = list(shop.trail("7"))
    assert [line.state["balance"] for line in trail] == [0, 30, 20]
    assert str(trail[2]).startswith(
        "   2  2026-01-01T00:00:02.000Z  money.withdrawn {'amount': 10} by till because of till.2"
    )


def test_a_command_that_comes_again_leads_to_nothing_new(tmp_path):
    with store.open(tmp_path / "bank.db") as file:
        shop = Repository(file, ACCOUNT)
        first = shop.handle("7", command(1, "pay.money", amount=30))
        shop.handle("7", command(2, "withdraw.money", amount=10))
        again = shop.handle("7", command(1, "pay.money", amount=30))
        assert again.again
        assert again.events == first.events
        assert again.state["balance"] == shop.load("7").state["balance"] == 20
        with pytest.raises(BadEvent, match="its own id"):
            shop.handle("8", command(1, "pay.money", amount=30))


# ---------------------------------------------------------------- conflicts


class Rival:
    """A store in which somebody else appends between each of our reads and appends, some times."""

    def __init__(self, real, times):
        self.real, self.left, self.rival = real, times, Repository(real, ACCOUNT)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def append(self, stream, events, expected):
        if self.left:
            self.left -= 1
            self.rival.handle("7", command(1000 + self.left, "pay.money", amount=1))
        return self.real.append(stream, events, expected)


def test_who_loses_looks_again_and_decides_anew():
    waits = []
    shop = Repository(Rival(store.open(), times=3), ACCOUNT)
    done = shop.handle("7", command(1, "pay.money", amount=10), wait=waits.append)
    assert (done.attempts, done.state["balance"], waits) == (4, 13, [1, 2, 3])
    shop = Repository(Rival(store.open(), times=3), ACCOUNT)
    with pytest.raises(Conflict):
        shop.handle("7", command(1, "pay.money", amount=10), attempts=3)
    assert shop.load("7").state["balance"] == 3, "what the others did remains"


@pytest.mark.parametrize("jitter", ["none", "full", "equal", "decorrelated"])
def test_who_loses_sleeps_by_the_backoff_with_its_jitter(jitter, monkeypatch):
    slept = []
    monkeypatch.setattr("evsim.store.repository.time.sleep", slept.append)
    backoff = Backoff(0.1, cap_s=0.4, jitter=jitter)
    for _ in range(20):
        shop = Repository(Rival(store.open(), times=4), ACCOUNT)
        assert shop.handle("7", command(1, "pay.money", amount=10), wait=backoff).attempts == 5
    assert len(slept) == 80
    lows = {"none": (0.1, 0.2, 0.4, 0.4), "full": (0,) * 4, "equal": (0.05, 0.1, 0.2, 0.2), "decorrelated": (0.1,) * 4}
    highs = (0.3, 0.4, 0.4, 0.4) if jitter == "decorrelated" else (0.1, 0.2, 0.4, 0.4)
    for n, wait_s in enumerate(slept):
        assert lows[jitter][n % 4] <= wait_s <= highs[n % 4]
    apart = {wait_s for wait_s in slept if wait_s < 0.4}
    assert len(apart) == (2 if jitter == "none" else sum(wait_s < 0.4 for wait_s in slept))


class Twin:
    """A store in which another worker is given some commands, or does something else, before our next append."""

    def __init__(self, real, *acts, kind=ACCOUNT, **how):
        self.real, self.acts, self.rival = real, list(acts), Repository(real, kind, **how)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def append(self, stream, *rest):
        acts, self.acts = self.acts, []
        for act in acts:
            act() if callable(act) else self.rival.handle("7", act)
        return self.real.append(stream, *rest)


POLICIES = [None, Every(1), Every(2), WhenCostly(1, 1)]


@pytest.mark.parametrize("path", [None, "bank.db"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_command_given_to_two_workers_at_once_is_done_once_and_both_see_the_state_as_it_is(policy, path, tmp_path):
    with store.open(path and tmp_path / path) as real:
        pay = command(9, "pay.money", amount=10)
        shop = Repository(Twin(real, command(8, "pay.money", amount=5), pay, snapshots=policy), ACCOUNT, policy)
        done = shop.handle("7", pay)
        assert (done.again, done.state["balance"], done.version) == (True, 15, 1)
        assert [event.id for event in done.events] == ["till.9.1"]
        shop.handle("7", command(10, "pay.money", amount=1))
        assert shop.load("7").state == Repository(real, ACCOUNT).as_of("7", version=99).state


def _told(balance, data):
    """The decision depends on the state: the event holds the balance, and a poor account gets a letter too."""
    letter = [("letter.sent", {})] if balance < 5 else []
    return [("money.paid", {"amount": data["amount"], "balance": balance + data["amount"]}), *letter]


TOLD = Decider(
    "account", 0, {"pay.money": _told},
    {"money.paid": lambda balance, data: balance + data["amount"], "letter.sent": lambda balance, data: balance},
)  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
def test_two_workers_who_decide_differently_on_one_command_give_the_answer_of_the_first(policy):
    real, pay = store.open(), command(9, "pay.money", amount=10)
    twin = Twin(real, command(8, "pay.money", amount=5), pay, kind=TOLD, snapshots=policy)
    done = Repository(twin, TOLD, policy).handle("7", pay)
    assert (done.again, done.state, [dict(event.data) for event in done.events]) == (
        True, 15, [{"amount": 10, "balance": 15}]
    )  # fmt: skip


def test_an_id_that_somebody_else_has_taken_is_still_refused():
    shop = Repository(store.open(), ACCOUNT)
    shop.store.append("account-7", Event("till.1.1", "money.paid", 0.0, "thief", {"amount": 1}))
    with pytest.raises(BadEvent, match=r"till\.1\.1"):
        shop.handle("7", command(1, "pay.money", amount=30))


class Late:
    """A store in which another worker does our command as soon as we have asked whether it is known."""

    def __init__(self, real, act):
        self.real, self.act = real, act

    def __getattr__(self, name):
        return getattr(self.real, name)

    def find(self, event_id):
        found, act, self.act = self.real.find(event_id), self.act, None
        if act is not None:
            Repository(self.real, ACCOUNT).handle("7", act)
        return found


def test_a_command_that_another_worker_has_just_done_is_not_refused_because_it_was_done():
    real, take = store.open(), command(2, "withdraw.money", amount=10)
    Repository(real, ACCOUNT).handle("7", command(1, "pay.money", amount=10))
    done = Repository(Late(real, take), ACCOUNT).handle("7", take)
    assert (done.again, done.state["balance"]) == (True, 0)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_old_command_leads_to_nothing_new_when_its_aggregate_was_deleted_or_cut(policy):
    shop, old = Repository(store.open(), ACCOUNT, snapshots=policy), command(1, "pay.money", amount=30)
    shop.handle("7", old)
    shop.store.delete("account-7")
    done = shop.handle("7", old)
    assert (done.again, done.state, [event.id for event in done.events]) == (True, ACCOUNT.initial, ["till.1.1"])
    shop.handle("7", command(2, "pay.money", amount=1))
    done = shop.handle("7", old)
    assert (done.again, done.state["balance"], [event.id for event in done.events]) == (True, 1, ["till.1.1"])


@pytest.mark.parametrize("policy", [Every(1), WhenCostly(1, 1)])
def test_no_snapshot_is_made_of_what_was_deleted_before_it_was_appended_to(policy):
    real = store.open()
    Repository(real, ACCOUNT).handle("7", command(1, "pay.money", amount=30))
    shop = Repository(Twin(real, lambda: real.delete("account-7")), ACCOUNT, policy)
    shop.handle("7", command(2, "pay.money", amount=1))
    assert shop.load("7").state["balance"] == 1
    shop.handle("7", command(3, "pay.money", amount=2))
    assert shop.load("7") == (ACCOUNT.initial | {"balance": 3}, 2, 0), "and the next one is right again"


def test_an_event_that_cannot_be_applied_is_not_stored():
    broken = Decider("box", {}, {"close.box": lambda s, d: [("box.closed", {})]}, {"box.closed": lambda s, d: s["no"]})
    shop = Repository(store.open(), broken)
    with pytest.raises(KeyError):
        shop.handle("1", command(1, "close.box"))
    assert shop.store.version("box-1") == -1


def test_what_is_hidden_is_not_what_never_was():
    """A past that was cut off cannot be shown, and a present that was cut off begins where it can be read."""
    shop, _ = played(
        ACCOUNT, [("pay.money", {"amount": 10}), ("pay.money", {"amount": 5}), ("pay.money", {"amount": 1})]
    )
    assert shop.as_of("7", at_s=-1.0).version == -1
    shop.store.truncate("account-7", 2)
    for past in ({"version": 0}, {"version": 1}, {"version": 2}, {"at_s": 0.5}, {"at_s": 99.0}):
        with pytest.raises(BadScenario, match="its events before version 2 were cut or deleted"):
            shop.as_of("7", **past)
    assert [line.version for line in shop.trail("7")] == [2]
    shop.store.delete("account-7")
    with pytest.raises(BadScenario, match="before version 3"):
        shop.as_of("7", version=2)
    assert list(shop.trail("7")) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_threads_with_a_store_each_lose_no_money(kind, tmp_path):
    """Four writers, fifty deposits each, one account, a real database."""
    place = (tmp_path / "bank.db", None) if kind == "sqlite" else (server().get_uri(), new_schema())
    store.open(place[0], schema=place[1]).close()

    def writer(number):
        with store.open(place[0], schema=place[1]) as mine:
            shop = Repository(mine, ACCOUNT, snapshots=Every(20))
            for n in range(50):
                shop.handle("7", command(100 * number + n, "pay.money", amount=1), attempts=1000)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    with store.open(place[0], schema=place[1]) as mine:
        found = Repository(mine, ACCOUNT).load("7")
        assert (found.state["balance"], found.version) == (200, 199)
        mine.verify()


@pytest.mark.parametrize("policy", [Every(3), WhenCostly(3, 1)])
def test_workers_who_are_given_the_same_commands_do_each_of_them_once(policy, tmp_path):
    """Three workers, thirty commands each, all the same; every event holds the balance that its decider has seen."""
    path, said = tmp_path / "bank.db", []
    store.open(path).close()

    def worker():
        with store.open(path) as mine:
            shop = Repository(mine, TOLD, snapshots=policy)
            pays = [command(n, "pay.money", amount=1) for n in range(30)]
            said.extend([shop.handle("7", pay, attempts=1000).events[0] for pay in pays])

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with store.open(path) as mine:
        truth = [each.event for each in mine.read("account-7") if each.event.type == "money.paid"]
        assert [event.data["balance"] for event in truth] == list(range(1, 31))
        assert Repository(mine, TOLD).load("7").state == 30
    assert sorted(said, key=truth.index) == [event for event in truth for _ in range(3)], "and all are told the same"


# ---------------------------------------------------------------- snapshots


@settings(deadline=None)
@given(commands, st.one_of(st.integers(1, 6).map(Every), st.sampled_from([WhenCostly(3, 1), WhenCostly(0.5, 1)])),
       st.sampled_from([ACCOUNT, Account]))  # fmt: skip
def test_with_snapshots_everything_is_as_without(plan, policy, kind):
    (shop, said), (plain, said_too) = played(kind, plan, snapshots=policy), played(kind, plan)
    assert said == said_too
    found, all_of_it = shop.load("7"), plain.load("7")
    assert shop.decider.plain(found.state) == plain.decider.plain(all_of_it.state)
    assert found.version == all_of_it.version
    assert found.replayed <= all_of_it.replayed
    for version in range(found.version + 1):
        one, other = shop.as_of("7", version=version).state, plain.as_of("7", version=version).state
        assert shop.decider.plain(one) == plain.decider.plain(other)


def test_a_snapshot_of_another_shape_is_not_used():
    """The state gets a new field; a snapshot from before does not know it. Rebuilt from the events, it is right."""
    file = store.open()
    old = Repository(file, ACCOUNT, snapshots=Every(2))
    for n in range(5):
        old.handle("7", command(n, "pay.money", amount=10))
    assert old.load("7").replayed < 5

    def paid(state, data):
        return state | {"balance": state["balance"] + data["amount"], "payments": state["payments"] + 1}

    start = ACCOUNT.initial | {"payments": 0}
    tables = {"decide": ACCOUNT.decide, "apply": {**ACCOUNT.apply, "money.paid": paid}}
    new = Repository(file, Decider("account", start, **tables, version=2), snapshots=Every(2))
    assert new.load("7") == (start | {"balance": 50, "payments": 5}, 4, 5)
    new.handle("7", command(9, "pay.money", amount=10))
    assert new.load("7").replayed <= 1, "a new snapshot was taken"
    assert old.load("7").replayed == 6, "and those who still run the old code do not use it"
    stale = Repository(file, Decider("account", start, **tables, version=1), snapshots=Every(2))
    file.append(
        "snapshot-account-7", Event("x.1", "snapshot.taken", 0, "account", {"version": 5, "state": ACCOUNT.initial})
    )
    with pytest.raises(KeyError):
        stale.handle("7", command(10, "pay.money", amount=10)), "who forgets to count the version is punished"


def test_one_snapshot_is_kept_and_its_stream_is_no_part_of_the_aggregates():
    file = store.open()
    shop = Repository(file, ACCOUNT, snapshots=Every(3))
    for n in range(20):
        shop.handle("7", command(n, "pay.money", amount=1))
    assert len(list(file.read("snapshot-account-7"))) == 1
    assert len(list(file.read_category("account"))) == 20


def test_how_many_events_a_load_replays_and_the_best_interval():
    """(N − 1)/2 on average (C9); w = 2 ms, five loads an event, 10 µs an event: N* = 8.94, so nine."""
    for every in (1, 4, 9, 20):
        shop, replayed = Repository(store.open(), ACCOUNT, snapshots=Every(every)), 0
        for n in range(20 * every):
            shop.handle("7", command(n, "pay.money", amount=1))
            replayed += shop.load("7").replayed
        assert replayed / (20 * every) == (every - 1) / 2
    assert best_every(0.002, 5, 10e-6) == 9
    assert best_every(0.002, 500, 1e-3) == 1


@pytest.mark.parametrize("policy", [None, Every(2)])
def test_a_deleted_aggregate_begins_anew_with_and_without_snapshots(policy):
    file = store.open()
    shop = Repository(file, ACCOUNT, snapshots=policy)
    for n in range(4):
        shop.handle("7", command(n, "pay.money", amount=10))
    file.delete("account-7")
    assert shop.load("7") == (ACCOUNT.initial, 3, 0)
    assert list(shop.trail("7")) == []
    for n in range(10, 13):
        shop.handle("7", command(n, "pay.money", amount=1))
        assert shop.load("7").state == list(shop.trail("7"))[-1].state
    with pytest.raises(BadScenario, match="before version 4 were cut or deleted"):
        shop.as_of("7", version=99)  # nobody can tell a new beginning from half a stream
    assert shop.load("7")[:2] == (ACCOUNT.initial | {"balance": 3}, 6)


def test_a_state_may_be_nothing():
    """A closed box is None: what is decided next starts from there, and so does the snapshot of it."""
    box = Decider(
        "box", "new",
        {"close.box": lambda s, d: [("box.closed", {})], "open.box": lambda s, d: [("box.opened", {})]},
        {"box.closed": lambda s, d: None, "box.opened": lambda s, d: f"opened after {s}"},
    )  # fmt: skip
    shop = Repository(store.open(), box, snapshots=Every(2))
    assert shop.handle("1", command(1, "close.box")).state is None
    assert shop.handle("1", command(2, "open.box")).state == "opened after None"
    assert shop.load("1") == ("opened after None", 1, 0)


def test_an_apply_that_changes_the_state_it_is_given_spoils_no_other_aggregate():
    def added(state, data):
        state["n"] += 1
        return state

    counter = Decider("counter", {"n": 0}, {"add.one": lambda s, d: [("one.added", {})]}, {"one.added": added})
    shop = Repository(store.open(), counter)
    for n, name in enumerate("ab"):
        shop.handle(name, command(n, "add.one"))
    assert [shop.load(name).state["n"] for name in "abab"] == [1, 1, 1, 1]
    assert counter.initial == {"n": 0}


def test_a_state_that_is_not_json_is_refused_before_anything_is_stored():
    bag = Decider("bag", frozenset(), {}, {})
    with pytest.raises(BadScenario, match=r"bag cannot have snapshots.*is not JSON"):
        Repository(store.open(), bag, snapshots=Every(1))
    kept = Decider("bag", frozenset(), {}, {}, plain=sorted, from_plain=frozenset)
    assert Repository(store.open(), kept, snapshots=Every(1)).load("1").state == frozenset()


@pytest.mark.parametrize("damage", [{}, {"state": {}}, {"version": 2}, {"version": "two", "state": {}},
                                    {"version": None, "state": {}}, {"version": True, "state": {}},
                                    {"version": -1, "state": {}}, {"version": 99, "state": {}}])  # fmt: skip
def test_a_damaged_snapshot_is_no_snapshot(damage):
    file = store.open()
    shop = Repository(file, ACCOUNT, snapshots=Every(3))
    for n in range(4):
        shop.handle("7", command(n, "pay.money", amount=10))
    file.append("snapshot-account-7", Event("x.1", "snapshot.taken", 0, "account", damage))
    assert shop.newest_snapshot("7") == -1
    assert (shop.load("7").state["balance"], shop.load("7").replayed) == (40, 4)
    assert shop.handle("7", command(9, "pay.money", amount=10)).state["balance"] == 50
    assert shop.newest_snapshot("7") == 4, "and a new one takes its place"


LISTS = {
    "too large": lambda s, d: [*s, "x" * 400_000],
    "too deep": lambda s, d: [s] if s and len(str(s)) > 60 else [[[[[[[[[[[s]]]]]]]]]]],
    "not JSON": lambda s, d: [*s, len],
}


@pytest.mark.parametrize("what", LISTS)
def test_a_snapshot_that_cannot_be_kept_takes_nothing_from_its_command(what):
    kind = Decider("list", [], {"add.item": lambda s, d: [("item.added", d)]}, {"item.added": LISTS[what]})
    shop = Repository(store.open(), kind, snapshots=Every(4))
    assert shop.unkept is None
    done = [shop.handle("7", command(n, "add.item")).version for n in range(6)]
    assert done == [0, 1, 2, 3, 4, 5]
    assert shop.unkept.startswith("the snapshot of list-7 at version 5 could not be kept (BadEvent: ")
    assert shop.newest_snapshot("7") == -1
    with pytest.raises(BadEvent):
        shop.take_snapshot("7", shop.load("7").state, 5)


def test_a_snapshot_that_can_be_kept_again_is_and_what_was_said_before_is_over():
    kind = Decider("bag", 0, {"add.item": lambda s, d: [("item.added", {})]}, {"item.added": lambda s, d: s + 1},
                   plain=lambda s: s // (s != 2))  # fmt: skip
    shop = Repository(store.open(), kind, snapshots=Every(1))
    said = [shop.handle("7", command(n, "add.item")) and shop.unkept for n in range(3)]
    assert [each is None for each in said] == [True, False, True]
    assert "ZeroDivisionError" in said[1]
    assert shop.load("7") == (3, 2, 0)


@pytest.mark.parametrize("policy", [None, Every(2)])
@pytest.mark.parametrize("length", [160, 170, 182, 183, 190, 192])
def test_a_name_may_be_as_long_as_a_stream_allows_with_and_without_snapshots(policy, length):
    names, file = ["a" * (length - 1) + end for end in "xy"], store.open()
    shop = Repository(file, ACCOUNT, snapshots=policy)
    for n in range(10):
        shop.handle(names[n % 2], command(n, "pay.money", amount=1 + n % 2))
    assert shop.unkept is None
    assert [shop.load(name).state["balance"] for name in names] == [5, 10]
    assert [shop.newest_snapshot(name) for name in names] == ([-1, -1] if policy is None else [3, 3])
    with pytest.raises(BadEvent, match="is no name of a stream"):
        shop.load("a" * 193)
    with pytest.raises(BadEvent, match="is no name of a stream"):
        shop.newest_snapshot("\ud800" * 193)


def test_who_loads_while_the_stream_is_cut_behind_a_newer_snapshot_sees_it_whole():
    class Cutting:
        """A store in which another worker keeps a snapshot and cuts behind it, when we have found the one before."""

        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            return getattr(self.real, name)

        def read(self, stream, start=None, limit=None, **how):
            if limit is None and self.real.version("snapshot-account-7") == 0:
                Repository(self.real, ACCOUNT).take_snapshot("7", ACCOUNT.initial | {"balance": 5}, 4)
                self.real.truncate("account-7", 4)
            return self.real.read(stream, start, limit, **how)

    real = store.open()
    shop = Repository(real, ACCOUNT)
    for n in range(6):
        shop.handle("7", command(n, "pay.money", amount=1))
    shop.take_snapshot("7", ACCOUNT.initial | {"balance": 2}, 1)
    assert Repository(Cutting(real), ACCOUNT).load("7") == (ACCOUNT.initial | {"balance": 6}, 5, 1)

"""A service that is asked and answers: the synchronous chain, for comparison with events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from evsim.laws import Constant, Duration
from evsim.patterns.handler import Reject, Unavailable
from evsim.patterns.inbox import Inbox, Memory
from evsim.sim.node import Node
from evsim.sim.part import SERVICES, Part

if TYPE_CHECKING:
    from evsim.sim.world import World

Reply = Callable[[Any], None]


class Question(NamedTuple):
    """What somebody asks a service, and who is to hear the answer."""

    event: int
    caller: str
    reply: Reply
    data: Mapping[str, Any]

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        key = self.data.get("idempotency_key")
        return None if key is None else str(key)


class Service(Part):
    """A service: ``Service("payment", service_s=Exponential(0.03), calls=("bank",), availability=0.99)``.

    It works for ``service_s``, then asks the services that it ``calls``, one after the other, and answers when they
    have answered. At each question it is there with the probability ``availability``; while crashed it never is. One
    that cannot answer fails the whole chain of those who wait for it.

    It serves any number of callers side by side, or ``workers`` at a time; the others stand in line, first come first
    served. Above ``room`` in line it refuses at once (load shedding), and with ``patience_s`` it does not begin what
    has stood in line for longer: nobody waits for that answer any more.

    With an ``effect`` it is an outside service that does something, such as ``"card charged"``, when its work is done,
    whether the one who asked still waits or not. What is asked with an ``idempotency_key`` in the data of ``ctx.call``
    is done once in ``idempotency_s`` (Stripe keeps keys for 24 hours; None: it knows no keys): who asks again is given
    the same answer, who asks while the first is at work is refused, and who uses the key for something else is told
    so by a ``Reject``, which no asking again will mend (IETF, *The Idempotency-Key HTTP Header Field*: 409 and 422).
    """

    name: str
    service_s: Duration = Constant(0.0)
    calls: tuple[str, ...] = ()
    availability: float = Field(1.0, ge=0, le=1)
    workers: int | None = Field(None, ge=1)
    room: int | None = Field(None, ge=0)
    patience_s: float | None = Field(None, gt=0)
    effect: str | None = None
    idempotency_s: float | None = Field(None, gt=0)
    kind: Literal["service"] = "service"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"calls": SERVICES}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this service among these parts: a circle of calls would never answer."""
        yield from super().check(parts)
        if self.workers is None and (self.room is not None or self.patience_s is not None):
            yield f"{self.title}: 'room' and 'patience_s' are about the line before its workers; give workers=… too"
        if self.effect is None and self.idempotency_s is not None:
            yield f"{self.title}: 'idempotency_s' is for a service that does something; give effect=… too"
        if self.name in reach(self, parts):
            yield f"{self.title}: calls itself in a circle, and would never answer; remove one of the calls"

    def build(self, world: World) -> LiveService:
        """Bring the service to life."""
        return LiveService(world, self)


def reach(part: Part, parts: Mapping[str, Part]) -> set[str]:
    """The names of all that this service or cache may ask, at first or second hand."""
    seen: set[str] = set()
    ahead = _asked_by(part)
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead.extend(_asked_by(parts.get(name)))
    return seen


def _asked_by(part: Any) -> list[str]:
    return [*getattr(part, "calls", ()), *([part.origin] if hasattr(part, "origin") else [])]


class LiveService(Node):
    """A service at work."""

    def __init__(self, world: World, value: Service) -> None:
        super().__init__(world, value.name)
        self.value = value
        self._service = world.draws(f"{value.name} service", value.service_s)
        self._luck = world.chance.uniforms(f"{value.name} availability")
        self._waiting: dict[int, Question] = {}
        self._line: deque[tuple[float, Question]] = deque()
        self._keys = Memory(Inbox(ttl_s=value.idempotency_s), lambda: world.now)
        self._said: dict[str, Mapping[str, Any]] = {}
        self._asked = 0
        self._frozen_at = 0.0
        self._due: dict[int, float] = {}
        world.live[value.name] = self

    def ask(self, event: int, caller: str, reply: Reply, data: Mapping[str, Any] | None = None) -> None:
        """Ask about an event; ``reply`` gets True, ``Unavailable`` or ``Reject``, over the links there and back."""
        question = Question(event, caller, reply, data or {})
        if not self.world.link(caller, self.name).send(self._asked_by, question, event):
            self.world.call_in(0.0, reply, Unavailable(f"{self.name} could not be reached"))

    def _asked_by(self, question: Question) -> None:
        event, caller = question[:2]
        if self.frozen:
            self.hold(self._asked_by, question)
            return
        lucky = self._luck() < self.value.availability
        if self.down or not lucky:
            self._note("refused", caller, event)
            self._answer(question, Unavailable(f"{self.name} is not available"))
            return
        if self._knows(question):
            return
        if self.value.workers is not None and len(self._waiting) >= self.value.workers:
            self._stand_in_line(question)
            return
        self._begin(question)

    def _knows(self, question: Question) -> bool:
        """Whether the same was asked before: what was done is not done again, what is being done is not begun."""
        if self.value.idempotency_s is None or question.key is None:
            return False
        done = question.key in self._keys
        at_work = [*self._waiting.values(), *(each for _, each in self._line)]
        before = self._said[question.key] if done else next((e.data for e in at_work if e.key == question.key), None)
        if before is None:
            return False
        if before != question.data:
            self._note("refused", question.caller, question.event)
            self._answer(question, Reject(f"{self.name} knows the key {question.key!r} from another question"))
        elif done:
            self._note("deduplicated", question.caller, question.event)
            self._answer(question, True)
        else:
            self._note("refused", question.caller, question.event)
            self._answer(question, Unavailable(f"{self.name} is at work on {question.key!r}"))
        return True

    def _act(self, question: Question) -> None:
        """The work is done: what it does in the world happens now, and its key is known from now on."""
        if self.value.effect is None:
            return
        if question.key is not None:
            self._remember(question.key, question.data)
        note = self.world.history.note(**question.data) if question.data else -1
        code = self.world.history.code("effect", self.name, self.value.effect)
        self.world.record(self.world.now, code, question.event, note)

    def _remember(self, key: str, data: Mapping[str, Any]) -> None:
        self._keys.add(key)
        self._said[key] = data
        if len(self._said) > 2 * len(self._keys) + 64:
            self._said = {each: said for each, said in self._said.items() if each in self._keys}

    def _stand_in_line(self, question: Question) -> None:
        room = self.value.room
        if room is None or len(self._line) < room:
            self._line.append((self.world.now, question))
            return
        self._note("refused", question[1], question[0])
        self._answer(question, Unavailable(f"{self.name} has no room"))

    def _next(self) -> None:
        """A worker is free: begin with the first in line who still waits."""
        while self._line and self.up and len(self._waiting) < (self.value.workers or 0):
            since, question = self._line.popleft()
            if self.value.patience_s is None or self.world.now - since <= self.value.patience_s:
                self._begin(question)
            else:
                self._note("refused", question[1], question[0])
                self._answer(question, Unavailable(f"{self.name} came to it too late"))

    def _begin(self, question: Question) -> None:
        event, caller = question[:2]
        self._asked += 1
        self._waiting[self._asked] = question
        self._note("called", caller, event)
        self._due[self._asked] = self.world.now + self._service()
        self.world.call_at(self._due[self._asked], self._worked, (self._asked, 0))

    def _worked(self, progress: tuple[int, int]) -> None:
        """The own work, or one more of the called services, is done: ask the next, or answer."""
        ticket, asked = progress
        if ticket not in self._waiting:
            return
        if self.frozen:
            self.hold(self._worked, progress)
            return
        if asked == 0 and self.world.now < self._due[ticket]:
            self.world.call_at(self._due[ticket], self._worked, progress)
            return
        event = self._waiting[ticket][0]
        if asked == len(self.value.calls):
            question = self._waiting.pop(ticket)
            del self._due[ticket]
            self._act(question)
            self._note("answered", question[1], event)
            self._answer(question, True)
            self._next()
            return

        def replied(answer: Any) -> None:
            if isinstance(answer, Exception):
                self._give_up(ticket, answer)
            else:
                self._worked((ticket, asked + 1))

        self.world.find(self.value.calls[asked]).ask(event, self.name, replied)

    def _give_up(self, ticket: int, problem: Exception) -> None:
        question = self._waiting.pop(ticket, None)
        self._due.pop(ticket, None)
        if question is not None:
            self._note("failed", question[1], question[0])
            self._answer(question, Unavailable(f"{self.name} failed: {problem}"))
            self._next()

    def _answer(self, question: Question, answer: Any) -> None:
        event, caller, reply = question[:3]
        if not self.world.link(self.name, caller).send(reply, answer, event):
            self.world.call_in(0.0, reply, Unavailable(f"the answer of {self.name} was lost"))

    def _note(self, step: str, caller: str, event: int) -> None:
        self.world.record(self.world.now, self.world.history.code(step, self.name, caller), event, 0)

    def paused(self) -> None:
        """Remember since when nothing moves."""
        self._frozen_at = self.world.now

    def resumed(self) -> None:
        """Work that was under way takes as much longer as the pause was."""
        pause_s = self.world.now - self._frozen_at
        for ticket, due in self._due.items():
            if due >= self._frozen_at:
                self._due[ticket] = due + pause_s

    def crashed(self) -> None:
        """Those who wait see their connection end."""
        line, self._line = self._line, deque()
        for ticket in list(self._waiting):
            self._give_up(ticket, RuntimeError("crashed"))
        for _, question in line:
            self._answer(question, Unavailable(f"{self.name} crashed"))

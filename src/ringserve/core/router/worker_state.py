"""What a router knows of one worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringserve.core.breaker import Breaker
from ringserve.core.router.fullness import Fullness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.settings import RouterSettings
    from ringserve.core.tensor import ModelSpec


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a worker has ready.

    Attributes:
        number: The worker's name for this instance; it gives no number twice in its life.
        spec: The model.
        default: Whether the worker takes this version for a request that names none.
    """

    number: int
    spec: ModelSpec
    default: bool


@dataclass(frozen=True, slots=True)
class Unready:
    """A model that a worker knows of and does not serve now.

    Attributes:
        name: Of the model.
        version: Of the model; empty where none is known.
        state: `LOADING`, `UNLOADING` or `UNAVAILABLE`.
        reason: Why, in a sentence; may be empty.
    """

    name: str
    version: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says when a link comes up.

    Attributes:
        node_id: Its own name.
        incarnation: Different for each process that ever served under this address.
        offers: The models it has ready; a worker may be well and have none.
        credit_items: Items that may be in flight to it at once.
        credit_bytes: Bytes of tensors that may be in flight to it at once.
        run_timeout_s: Its own limit for one run, in seconds; 0 for none.
        slowest_run_s: The slowest run so far, warm-up included, in seconds.
        unready: The models it knows of and does not serve.
    """

    node_id: str
    incarnation: str
    offers: tuple[Offer, ...]
    credit_items: int
    credit_bytes: int
    run_timeout_s: float = 0.0
    slowest_run_s: float = 0.0
    unready: tuple[Unready, ...] = ()


class KeyFlight:
    """Calls of one key that are with one worker: they count once toward its load.

    A key is on several workers at a time only after calls of it were moved; then `older` leads to the others.
    """

    __slots__ = ("calls", "older", "rows", "table", "worker")

    def __init__(
        self,
        table: dict[bytes, KeyFlight],
        worker: WorkerState,
        rows: int,
        older: KeyFlight | None,
    ) -> None:
        """Begin with no call; `table` is that of its model, by key."""
        self.table = table
        self.worker = worker
        self.rows = rows
        self.older = older
        self.calls = 0

    def at(self, worker: WorkerState) -> KeyFlight | None:
        """Find the calls of this key that are with a worker; None when there are none."""
        flight = self.living()
        while flight is not None and flight.worker is not worker:
            flight = None if flight.older is None else flight.older.living()
        return flight

    def living(self) -> KeyFlight | None:
        """This one, or the first older one, that still has calls; None when there is none."""
        flight: KeyFlight | None = self
        while flight is not None and flight.calls == 0:
            flight = flight.older
        return flight


class WorkerState:
    """One worker, as this gateway sees it.

    Attributes:
        address: As typed by whoever started the gateway: its place on the ring.
        able: Whether it may be sent anything, its breaker left aside: link up, not going away, not hung.
        foreign: Name and version of those of its models of which most workers have another file: they get
            no requests from it here.
        in_flight: Calls that are with it, by number.
        items: Rows under distinct keys in flight.
        load: max(items, queue depth last reported): what bounded load compares.
        fullness: What its last refusals say of the next request.
        offers: The models it had ready when it last said.
        unready: Those it knew of and did not serve.
        gone: Whether a reconnection was refused since the link was lost: that process is dead.
    """

    __slots__ = (
        "able",
        "address",
        "breaker",
        "bytes_out",
        "depth",
        "foreign",
        "fullness",
        "going_away",
        "gone",
        "heard_at",
        "hello",
        "hung",
        "in_flight",
        "incarnation",
        "index",
        "items",
        "items_out",
        "link_up",
        "load",
        "node_id",
        "offers",
        "pinged_at",
        "requests",
        "runs_finished",
        "spilled",
        "unready",
    )

    def __init__(self, index: int, address: str, breaker: Breaker) -> None:
        """Begin without a link."""
        self.index = index
        self.address = address
        self.breaker = breaker
        self.node_id = ""
        self.incarnation = ""
        self.hello: Hello | None = None
        self.offers: tuple[Offer, ...] = ()
        self.unready: tuple[Unready, ...] = ()
        self.link_up = False
        self.going_away = False
        self.gone = False
        self.hung = False
        self.foreign: tuple[tuple[str, str], ...] = ()
        self.fullness = Fullness()
        self.able = False
        self.in_flight: dict[int, Call] = {}
        self.items = 0
        self.items_out = 0
        self.bytes_out = 0
        self.depth = 0
        self.load = 0
        self.heard_at = 0.0
        self.pinged_at = 0.0
        self.requests = 0
        self.runs_finished = 0
        self.spilled = 0

    @property
    def link_state(self) -> str:
        """`up`, `down` or `going away`, as operators read it."""
        if not self.link_up:
            return "down"
        return "going away" if self.going_away else "up"

    def has_credit_for(self, call: Call) -> bool:
        """Whether the worker granted room for one more; a call larger than all credit may go alone."""
        hello = self.hello
        if hello is None:
            return False
        if self.items_out + call.signature.rows > hello.credit_items and self.items_out > 0:
            return False
        return self.bytes_out + len(call.payload) <= hello.credit_bytes or self.bytes_out == 0

    def greet(self, hello: Hello, now: float) -> None:
        """A link is up: begin with nothing in flight."""
        self.hello = hello
        self.node_id = hello.node_id
        self.incarnation = hello.incarnation
        self.offers = hello.offers
        self.unready = hello.unready
        self.link_up = True
        self.going_away = False
        self.gone = False
        self.hung = False
        self.depth = 0
        self.fullness.begin_anew()
        self.heard_at = now
        self.pinged_at = now

    def run_limit_s(self, slowest_run_s: float, hang_timeout_s: float) -> float:
        """How long one of its runs may last before it counts as hung, in seconds."""
        limit_s = max(hang_timeout_s, 10 * slowest_run_s)
        own = self.hello.run_timeout_s if self.hello is not None else 0.0
        return min(limit_s, own) if own > 0 else limit_s


def workers_of(addresses: Sequence[str], settings: RouterSettings) -> list[WorkerState]:
    """One for each address, in order."""
    numbers = settings.failure_threshold, settings.success_threshold, settings.circuit_timeout_s
    return [WorkerState(index, address, Breaker(*numbers)) for index, address in enumerate(addresses)]

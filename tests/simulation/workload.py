"""What callers want: a stream, bursts, hot keys, bad inputs, impatience; drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringserve.core.call import Call
from ringserve.core.signature import Result, Signature
from ringserve.errors import ServeError
from tests.simulation.model import ROWS_MAX, WIDTHS, Kind, payload_of, signature_of
from tests.simulation.models import TOY, Place

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess

_signatures: dict[tuple[Place, int, int], Signature] = {}


@dataclass(frozen=True)
class Request:
    """One request that will be made.

    Attributes:
        at: When.
        gateway: To which gateway, if it is there.
        kind: What it does to the model.
        number: Which input: equal numbers are equal inputs.
        rows: Its items.
        width: The length of an item.
        timeout_s: What it allows.
        leaves_s: After how long its caller leaves; 0 for never.
        asked: The model's name and version, or an empty one.
    """

    at: float
    gateway: int
    kind: Kind
    number: int
    rows: int = 1
    width: int = WIDTHS[0]
    timeout_s: float = 10.0
    leaves_s: float = 0.0
    asked: Place = TOY


class Caller(Call):
    """Somebody who waits for an answer.

    Attributes:
        request: What it asked.
        gateway: Whom it asked.
        calm: Whether it asked after all faults were over.
        over: Whether it has an outcome, or left.
        models: Digests that its gateway took it to mean while it waited.
    """

    def __init__(self, gateway: GatewayProcess, request: Request, calm: bool) -> None:
        shape = request.asked, request.rows, request.width
        if shape not in _signatures:
            _signatures[shape] = signature_of(*shape)
        signature = _signatures[shape]
        payload = payload_of(request.kind, request.number, request.rows, request.width)
        now = gateway.now
        super().__init__(signature.digest(payload), signature, payload, now, now + request.timeout_s)
        self.request = request
        self.gateway = gateway
        self.calm = calm
        self.over = False
        self.models: set[str] = set()

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.gateway.world.watch.ended(self, result, node_id, cached)

    def fail(self, error: ServeError) -> None:
        self.gateway.world.watch.ended(self, error, "", False)


def draw_requests(chance: random.Random, gateways: int, span_s: float, slow_s: float) -> list[Request]:
    """Draw the requests of the time in which things go wrong.

    Args:
        chance: Decides.
        gateways: How many there are to ask.
        span_s: Until when.
        slow_s: What a run takes, so that some time-outs are short for it.
    """
    keys = chance.choice([3, 30, 10_000])
    bad = chance.choice([(0.0, 0.0), (0.0, 0.0), (0.05, 0.0), (0.0, 0.03), (0.1, 0.02)])
    impatient = chance.choice([0.0, 0.0, 0.1, 0.5])
    timeouts = chance.choice([(10.0,), (0.2, 5.0), (4 * slow_s + 0.01, 1.0, 10.0)])
    wide = chance.choice([0.0, 0.0, 0.3])
    rows_max = chance.choice([1, 1, 3, 6, ROWS_MAX])

    def draw(at: float) -> Request:
        luck = chance.random()
        kind = Kind.FAILING if luck < bad[0] else Kind.POISON if luck > 1 - bad[1] else Kind.PLAIN
        return Request(
            at,
            chance.randrange(gateways),
            kind,
            chance.randrange(keys if kind is Kind.PLAIN else 5),
            chance.randint(1, rows_max),
            WIDTHS[chance.random() < wide],
            chance.choice(timeouts),
            chance.uniform(0.0, 4 * slow_s) if chance.random() < impatient else 0.0,
        )

    requests = [draw(chance.uniform(0.1, span_s)) for _ in range(chance.choice([10, 40, 100]))]
    for _ in range(chance.choice([0, 0, 1, 3])):
        at, spread_s = chance.uniform(0.1, span_s), chance.choice([0.0, 0.05])
        requests += [draw(at + chance.uniform(0.0, spread_s)) for _ in range(chance.choice([20, 60]))]
    if chance.random() < 0.3:
        at, hot = chance.uniform(0.1, span_s), draw(0.0)
        for _ in range(30):
            more = draw(at + chance.uniform(0.0, 0.3))
            requests.append(Request(more.at, more.gateway, hot.kind, hot.number, hot.rows, hot.width))
    within = [replace(request, at=min(request.at, span_s)) for request in requests]
    return sorted(within, key=lambda request: request.at)

"""One real model, served by `ringserve up` as it is, beside onnxruntime called directly on equal inputs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.request import urlopen

import numpy as np
import onnxruntime

from ringserve.engine.threads import threads_for
from tests.integration.servers import Server, Servers, free_port, until
from tests.real_models.callers import Address, Caller, Refused
from tests.real_models.catalogue import Array, Feed, RealModel

ALONE, TOGETHER = 5, 16
WORKERS = 3
"""As `ringserve up` starts by default."""
RELATIVE, ABSOLUTE = 1e-4, 1e-5
START_LIMIT_S = 240.0


@dataclass(slots=True)
class Finding:
    """What was seen of one model; `wrong` is empty where all is well."""

    model: RealModel
    wrong: list[str]
    inputs: str = ""
    batches: bool = False
    items_a_run: float = 0.0
    said: list[str] = field(default_factory=list)
    requests: int = 0
    difference: float = 0.0


class Checker:
    """Compares answers with onnxruntime's own."""

    def __init__(self, model: RealModel) -> None:
        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        # As many as a worker has: the answers of int8 LSTMs for several rows depend on it.
        options.intra_op_num_threads = threads_for(WORKERS, 0)
        if model.library is not None:
            options.register_custom_ops_library(str(model.library))
        self._session = onnxruntime.InferenceSession(model.path, options, ["CPUExecutionProvider"])
        self._model = model
        own = self._session.get_inputs()
        self.inputs = ", ".join(f"{tensor.name} {tensor.type[7:-1]}{list(tensor.shape)}" for tensor in own)
        self.requests = 0
        self.difference = 0.0
        self.wrong: list[str] = []

    def direct(self, feed: Feed) -> Feed:
        """What onnxruntime answers; row by row where the model takes one row only."""
        rows = len(next(iter(feed.values()))) if self._model.item_by_item else 1
        if rows == 1:
            return self._run(feed)
        answers = [self._run({name: array[[row]] for name, array in feed.items()}) for row in range(rows)]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def ask(self, how: str, caller: Caller, feed: Feed, expected: Feed) -> None:
        """Send a request and keep what is wrong with its answer."""
        self.requests += 1
        shapes = ", ".join(f"{name}{list(array.shape)}" for name, array in feed.items())
        try:
            answer = caller(feed)
        except Refused as error:
            self.wrong.append(f"{how}, {shapes}: {error}")
            return
        if list(answer) != list(expected):
            self.wrong.append(f"{how}, {shapes}: outputs {list(answer)}, not {list(expected)}")
            return
        for name, array in expected.items():
            self._compare(f"{how}, {shapes}: {name}", answer[name], array)

    def _compare(self, where: str, came: Array, wanted: Array) -> None:
        if came.shape != wanted.shape or came.dtype != wanted.dtype:
            self.wrong.append(f"{where}: {came.dtype}{came.shape}, not {wanted.dtype}{wanted.shape}")
        elif wanted.dtype.kind != "f":
            if not np.array_equal(came, wanted):
                self.wrong.append(f"{where}: {came}, not {wanted}")
        elif wanted.size:
            with np.errstate(invalid="ignore"):
                difference = float(np.nanmax(np.abs(came - wanted), initial=0.0))
            self.difference = max(self.difference, difference)
            if not np.allclose(came, wanted, RELATIVE, ABSOLUTE, equal_nan=True):
                self.wrong.append(f"{where}: differs by {difference:.3g}")

    def _run(self, feed: Feed) -> Feed:
        names = [output.name for output in self._session.get_outputs()]
        return {
            name: _tensor(answer) for name, answer in zip(names, self._session.run(None, feed), strict=True)
        }


def check(
    model: RealModel, servers: Servers, *flags: str, alone: int = ALONE, together: int = TOGETHER
) -> Finding:
    """Serve a model and ask: one after the other, all at once, and once more.

    Args:
        model: Which.
        servers: Start and end the processes.
        flags: More of `ringserve up`; none for its defaults.
        alone: Requests one after the other over each protocol.
        together: Requests at the same time over all of them.
    """
    checker, grpc_port = Checker(model), free_port()
    own: tuple[str, ...] = ("--port", "0", "--base-port", "0", "--grpc-port", str(grpc_port))
    prefix: tuple[str, ...] = ()
    if model.library is not None and model.named:
        own += ("--custom-ops", str(model.library))
    elif model.library is not None:
        prefix = ("env", f"PYTHONPATH={os.pathsep.join([str(model.library.parents[1]), *_path()])}")
    server = servers.start("up", str(model.path), *own, *flags, prefix=prefix)
    until(lambda: "ringserve gateway ready on" in server.log() or server.ended, server.log, START_LIMIT_S)
    if server.ended:
        return Finding(model, [server.log().strip()], checker.inputs)
    server.wait_ready()
    # A worker that comes later takes a share of the inputs, and with it their repeats.
    until(
        lambda: _workers_up(server) == server.get("/stats").json["total_workers"], server.log, START_LIMIT_S
    )
    address = Address(model.path.stem, server.port, grpc_port)
    chance = np.random.default_rng(7)
    # Every other of those together is of one size, so that they can share a run; rows differ all the same.
    numbers = [*range(alone), *(12 * each if each % 2 else each for each in range(together))]
    feeds = [model.draw(chance, number) for number in numbers]
    expected = [checker.direct(feed) for feed in feeds]
    callers = address.callers()
    if any(array.dtype == np.float16 for array in [*feeds[0].values(), *expected[0].values()]):
        del callers["REST JSON"]  # has no form for them
    for how, caller in callers.items():
        for number in range(alone):
            checker.ask(how, caller, feeds[number], expected[number])
    _ask_together(checker, callers, feeds[alone:], expected[alone:])
    config = address.get("config")
    _ask_again(checker, address, server, feeds[0], expected[0], known=config["response_cache"]["enable"])
    batches = config["max_batch_size"] > 0
    items = max(page["batch_processor"]["avg_batch_size"] for page in _worker_pages(server))
    if model.batches not in (None, batches):
        checker.wrong.append(f"batches: {batches}, not {model.batches}")
    if server.stop() != 0:
        checker.wrong.append("did not end with status 0")
    said = [line for line in dict.fromkeys(server.log().splitlines()) if line.startswith("model ")]
    return Finding(
        model, checker.wrong, checker.inputs, batches, items, said, checker.requests, checker.difference
    )


def _path() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def _workers_up(server: Server) -> int:
    return int(server.get("/health").json["workers_up"])


def _ask_together(
    checker: Checker, callers: dict[str, Caller], feeds: Sequence[Feed], expected: Sequence[Feed]
) -> None:
    """Differing inputs at the same time, over all protocols at once."""
    with ThreadPoolExecutor(len(feeds)) as pool:
        calls = [
            pool.submit(checker.ask, f"{how} beside others", caller, feed, right)
            for (how, caller), feed, right in zip(cycle(callers.items()), feeds, expected, strict=False)
        ]
        for call in calls:
            call.result()


def _ask_again(
    checker: Checker, address: Address, server: Server, feed: Feed, expected: Feed, *, known: bool
) -> None:
    """A repeat comes from the cache, unless the model's answers are not kept."""
    before = _hits(server)
    checker.ask("again", address.ask_binary, feed, expected)
    if (_hits(server) > before) is not known:
        checker.wrong.append(f"a repeat {'did not come' if known else 'came'} from the cache")


def _hits(server: Server) -> int:
    """Answers from memory, of all workers: only they know."""
    return sum(page["cache_hits"] for page in _worker_pages(server))


def _worker_pages(server: Server) -> list[Any]:
    ports = re.findall(
        r"^ringserve worker \S+ ready on http://127\.0\.0\.1:(\d+)$", server.log(), re.MULTILINE
    )
    pages = [urlopen(f"http://127.0.0.1:{port}/health", timeout=10).read() for port in ports]
    return [json.loads(page) for page in pages]


def _tensor(answer: object) -> Array:
    """A tensor as it is; maps from class to probability as the row of their values."""
    if isinstance(answer, list):
        return np.array([list(each.values()) for each in answer], np.float32)
    return np.asarray(answer)

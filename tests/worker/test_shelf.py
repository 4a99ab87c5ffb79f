"""What a worker serves is found by name and by number, also while it is exchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringserve.core.call import Call
from ringserve.core.signature import Key, Result, Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.engine.session import Engine, Wish
from ringserve.errors import BadRequest, ModelGone, NotFound, ServeError
from ringserve.settings import defaults_for
from ringserve.worker.served import Served
from ringserve.worker.shelf import Shelf
from tests.support import models

SETTINGS = defaults_for("worker")
ROW = bytes(4 * 64)


class Asked(Call):
    """A call that notes its end."""

    __slots__ = ("ended", "outcome")

    def __init__(self, model: str, version: str = "", payload: bytes = ROW) -> None:
        signature = Signature(model, version, (TensorLayout("x", DType.FP32, (1, len(payload) // 4)),))
        super().__init__(Key(payload[:8] * 2), signature, payload, 0.0, 1e9)
        self.outcome: Result | ServeError | None = None
        self.ended = asyncio.Event()

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.outcome = result
        self.ended.set()

    def fail(self, error: ServeError) -> None:
        self.outcome = error
        self.ended.set()


def engine(path: Path, name: str, version: str = "1", width: int = 64) -> Engine:
    model = models.mlp(path / f"{name}-{version}-{width}.onnx", (width, 2))
    return Engine.load(
        model,
        provider="cpu",
        batching="auto",
        max_batch=4,
        threads=1,
        say=print,
        wish=Wish(name=name, version=version),
    )


def end(shelf: Shelf, served: Served) -> None:
    shelf.end(served)
    assert served.release(5.0)


def test_the_latest_version_serves_who_names_none_and_the_only_model_who_names_nothing(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        shelf = Shelf("w", "")
        with pytest.raises(NotFound, match="no model is served here now"):
            shelf.find()
        for version in ("2", "10", "9"):
            assert shelf.add(engine(tmp_path, "a", version), SETTINGS) is None
        assert shelf.find() is shelf.find("a") is shelf.find("a", "10")
        assert shelf.find("", "2") is shelf.find("a", "2")
        assert [(offer.number, offer.default) for offer in shelf.offers()] == [
            (1, False),
            (3, False),
            (2, True),
        ]
        shelf.add(engine(tmp_path, "b"), SETTINGS)
        with pytest.raises(BadRequest, match="'a' and 'b' are served"):
            shelf.find()
        with pytest.raises(
            NotFound, match="model 'a' has no version '3' here; versions '2', '10' and '9' are"
        ):
            shelf.find("a", "3")
        for served in list(shelf):
            shelf.take_off(served.spec.name, served.spec.version)
            end(shelf, served)
        assert len(shelf) == 0

    asyncio.run(run())


def test_a_model_that_was_exchanged_is_found_by_its_number_until_it_is_ended(tmp_path: Path) -> None:
    async def run() -> None:
        shelf = Shelf("w", "")
        shelf.add(engine(tmp_path, "a"), SETTINGS)
        old = shelf.find("a")
        call = Asked("a")
        shelf.find_for(call).submit(call, 0.0)
        assert shelf.add(engine(tmp_path, "a"), SETTINGS) is old
        assert shelf.find("a") is not old
        assert shelf.numbered(call.model_number) is old
        assert shelf.pending == 1
        shelf.cancel(call)
        assert (shelf.pending, old.node.cancelled_calls) == (0, 1)
        end(shelf, old)
        with pytest.raises(ModelGone):
            shelf.numbered(old.number)
        assert shelf.counts()["accepted"] == 1  # what it counted stays
        end(shelf, shelf.find("a"))

    asyncio.run(run())


def test_a_request_that_was_read_for_another_model_is_held_against_the_new_one(tmp_path: Path) -> None:
    async def run() -> None:
        shelf = Shelf("w", "")
        shelf.add(engine(tmp_path, "a", width=8), SETTINGS)
        with pytest.raises(BadRequest, match=r"shape \[batch, 8\], got \[1, 64\]"):
            shelf.find_for(Asked("a"))
        with pytest.raises(NotFound, match="there is no model 'b' here; 'a' is served"):
            shelf.find_for(Asked("b"))
        end(shelf, shelf.find("a"))

    asyncio.run(run())


def test_the_depth_counts_what_waits_in_every_model(tmp_path: Path) -> None:
    async def run() -> None:
        shelf = Shelf("w", "")
        for name in ("a", "b"):
            shelf.add(engine(tmp_path, name), SETTINGS)
        calls = [Asked(name, payload=bytes([number]) * 256) for name in ("a", "b") for number in range(3)]
        for call in calls:
            shelf.find_for(call).submit(call, 0.0)
        assert (shelf.depth, shelf.pending) == (6, 6)
        shelf.flush(0.0)
        async with asyncio.timeout(20):
            for call in calls:
                await call.ended.wait()
        assert (shelf.depth, shelf.pending, shelf.is_running()) == (0, 0, False)
        assert all(isinstance(call.outcome, Result) for call in calls)
        assert (shelf.runs_finished, shelf.healthy(0.0)) == (2, True)
        for served in list(shelf):
            end(shelf, served)

    asyncio.run(run())

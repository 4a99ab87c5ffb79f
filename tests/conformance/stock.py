"""The four clients of tritonclient behind one face, and what they are asked."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support.all_types import GIVEN, Array

with (
    warnings.catch_warnings()
):  # the generated code of its messages wants another protobuf, and works with ours
    warnings.simplefilter("ignore")
    import tritonclient.grpc
    import tritonclient.grpc.aio
    import tritonclient.http
    import tritonclient.http.aio
    from tritonclient.utils import InferenceServerException

LIMIT_S = 20.0


@dataclass(frozen=True)
class Kind:
    """One of the clients: `messages` has its inputs and outputs, `make` connects."""

    name: str
    messages: Any
    make: Callable[[str], Any]

    @property
    def is_grpc(self) -> bool:
        return "grpc" in self.name


KINDS = [
    Kind("http", tritonclient.http, tritonclient.http.InferenceServerClient),
    Kind("http.aio", tritonclient.http, tritonclient.http.aio.InferenceServerClient),
    Kind("grpc", tritonclient.grpc, tritonclient.grpc.InferenceServerClient),
    Kind("grpc.aio", tritonclient.grpc, tritonclient.grpc.aio.InferenceServerClient),
]


class Client:
    """A client whose calls are run to their end, whether they are coroutines or not."""

    def __init__(self, kind: Kind, address: str, runner: asyncio.Runner) -> None:
        self.kind = kind
        self.runner = runner
        self.own = self.run(lambda: kind.make(address))

    def run(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it gives
        """Call it within the loop, and wait for what it gives."""

        async def inside() -> Any:  # noqa: ANN401
            found = call()
            return await found if inspect.isawaitable(found) else found

        return self.runner.run(asyncio.wait_for(inside(), LIMIT_S)) if "aio" in self.kind.name else call()

    def call(self, method: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401
        return self.run(lambda: getattr(self.own, method)(*given, **named))

    def page(self, method: str, *given: Any) -> Any:  # noqa: ANN401
        """A page as the names and values of its JSON; `gRPC` writes large numbers as strings."""
        return self.call(method, *given, as_json=True) if self.kind.is_grpc else self.call(method, *given)

    def inputs(self, feed: dict[str, Array], **more: Any) -> list[Any]:  # noqa: ANN401
        """The arrays as this client's inputs."""
        made = []
        for name, array in feed.items():
            own = self.kind.messages.InferInput(name, list(array.shape), name)
            _fill(own, array, {} if self.kind.is_grpc else more)
            made.append(own)
        return made

    def output(self, name: str, **more: Any) -> Any:  # noqa: ANN401
        return self.kind.messages.InferRequestedOutput(name, **more)


def _fill(given: Any, array: Array, more: dict[str, Any]) -> None:  # noqa: ANN401
    try:
        given.set_data_from_numpy(array, **more)
    except InferenceServerException:  # before release 26.06 it wanted float32, and cut it itself
        given.set_data_from_numpy(array.astype(np.float32), **more)


@contextmanager
def connected(kind: Kind, address: str) -> Iterator[Client]:
    with asyncio.Runner() as runner:
        client = Client(kind, address, runner)
        yield client
        client.call("close")
    if kind.name == "http.aio":
        # It drops connections whose answer was an error without closing them, which aiohttp minds: let it do
        # so here, and not in whatever test runs when they are collected.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def check_echo(feed: dict[str, Array], result: Any, names: list[str] | None = None) -> None:  # noqa: ANN401
    """Hold what came back against what was sent."""
    for name in names or list(feed):
        array = feed[name]
        back = result.as_numpy(name.lower())
        assert back is not None, name
        wanted = array
        if name == "BYTES":
            wanted = np.array([text.encode() for text in array.flat], object).reshape(array.shape)
        elif name == "BF16":
            wanted = array.astype(np.float32)
        assert back.dtype == (GIVEN[name].numpy or object)
        np.testing.assert_array_equal(back, wanted)

"""The inference clients of the KServe SDK, unmodified, against served models; run by `make kserve`.

It runs with the interpreter of the SDK's own environment, in which nothing of ringserve is installed:
`python -m tests.conformance.kserve_check HTTP GRPC DIGITS_HTTP DIGITS_GRPC` with addresses as HOST:PORT. The
first two serve the model of `tests/support/all_types.py`, the others the digits model. It prints a line for
each check and ends with status 1 where one fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import subprocess
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from tests.conformance.document import examples

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import grpc
    import httpx
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
    from kserve.inference_client import RESTConfig
    from kserve.protocol.infer_type import RequestedOutput

MODEL = "all types"
KINDS = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
ALL = {"binary_data_output": True}


def feed(rows: int) -> dict[str, Any]:
    """An array for each input that the SDK has a type for."""
    numbers = np.arange(rows * 3).reshape(rows, 3)
    made: dict[str, Any] = {
        name: (numbers % 2 if name == "BOOL" else numbers).astype(kind) for name, kind in KINDS.items()
    }
    made["BYTES"] = np.array([f"é {number}".encode() for number in numbers.flat], object).reshape(rows, 3)
    return made


def inputs_of(arrays: dict[str, Any], *, binary: bool) -> list[InferInput]:
    """The SDK knows no BF16: that input is described by hand, as its bits."""
    made = []
    for name, array in arrays.items():
        one = InferInput(name, list(array.shape), name)
        one.set_data_from_numpy(array, binary_data=binary or name == "FP16")
        made.append(one)
    rows = len(arrays["FP32"])
    bits = InferInput("BF16", [rows, 3], "BF16", parameters={"binary_data_size": rows * 6})
    bits._raw_data = bytes(rows * 6)
    return [*made, bits]


def hold(condition: bool, seen: object) -> None:
    """Fail with what was seen."""
    assert condition, seen


def check_echo(arrays: dict[str, Any], answer: Any) -> None:  # noqa: ANN401 - the SDK's
    """Hold what came back against what was sent."""
    for name, array in arrays.items():
        back = answer.get_output_by_name(name.lower())
        assert back is not None, name
        values = back.as_numpy()
        if name == "BYTES":
            values = np.array(
                [one if isinstance(one, bytes) else one.encode() for one in values.flat], object
            )
            values = values.reshape(array.shape)
        assert values.shape == array.shape, (name, values.shape)
        assert np.array_equal(values, array), (name, values, array)


async def rest_pages(http: str) -> None:
    """Live, ready, and of a model."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
    assert await client.is_server_live(f"http://{http}") is True
    assert await client.is_server_ready(f"http://{http}") is True
    assert await client.is_model_ready(f"http://{http}", MODEL) is True
    await client.close()


async def rest_infer(http: str) -> None:
    """All types, as bytes and as JSON, both ways."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    for rows in (1, 4):
        for binary in (True, False):
            arrays = feed(rows)
            request = InferRequest(MODEL, inputs_of(arrays, binary=binary), parameters=dict(ALL))
            check_echo(arrays, await client.infer(f"http://{http}", request, model_name=MODEL))
    arrays = feed(2)
    wanted = [
        RequestedOutput("int32", {"binary_data": False}),
        RequestedOutput("fp16", {"binary_data": True}),
    ]
    request = InferRequest(MODEL, inputs_of(arrays, binary=True), request_outputs=wanted)
    answer = await client.infer(f"http://{http}", request, model_name=MODEL)
    check_echo({"INT32": arrays["INT32"], "FP16": arrays["FP16"]}, answer)
    await client.close()


async def rest_errors(http: str) -> None:
    """The SDK tells the server's sentence, which it reads of JSON alone."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    inputs = inputs_of(feed(1), binary=True)
    for model, given, status, said in (
        ("other", inputs, 404, "'other'"),
        (MODEL, inputs[1:], 400, "BOOL"),
    ):
        try:
            request = InferRequest(model, given, parameters=dict(ALL))
            await client.infer(f"http://{http}", request, model_name=model)
        except httpx.HTTPStatusError as error:
            hold(error.response.status_code == status and said in str(error), error)
        else:
            raise AssertionError(f"{model} was answered")
    try:
        await client.is_model_ready(f"http://{http}", "other")
    except httpx.HTTPStatusError as error:
        hold("'other'" in str(error), error)
    await client.close()


async def grpc_pages(address: str) -> None:
    """Live, ready, and of a model."""
    async with InferenceGRPCClient(address) as client:
        assert await client.is_server_live() is True
        assert await client.is_server_ready() is True
        assert await client.is_model_ready(MODEL) is True


async def grpc_infer(address: str) -> None:
    """All types, raw."""
    async with InferenceGRPCClient(address) as client:
        for rows in (1, 4):
            arrays = feed(rows)
            check_echo(arrays, await client.infer(InferRequest(MODEL, inputs_of(arrays, binary=True))))


async def grpc_errors(address: str) -> None:
    """Codes, which it does not repeat."""
    logging.getLogger("kserve").setLevel(logging.CRITICAL)
    inputs = inputs_of(feed(1), binary=True)
    async with InferenceGRPCClient(address) as client:
        for model, given, code in (("other", inputs, "NOT_FOUND"), (MODEL, inputs[1:], "INVALID_ARGUMENT")):
            try:
                await client.infer(InferRequest(model, given))
            except grpc.RpcError as error:
                hold(error.code().name == code, error)
            else:
                raise AssertionError(f"{model} was answered")


def document(http: str, grpc_address: str) -> None:
    """The examples of docs/clients.md."""
    for example in examples("kserve"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", example.at(http, grpc_address)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == example.printed, done.stdout


def main() -> None:
    """Run all, and tell how each went."""
    http, grpc_address, digits_http, digits_grpc = sys.argv[1:]
    checks: list[tuple[Callable[..., Awaitable[None]], str]] = [
        (rest_pages, http),
        (rest_infer, http),
        (rest_errors, http),
        (grpc_pages, grpc_address),
        (grpc_infer, grpc_address),
        (grpc_errors, grpc_address),
    ]
    failed = 0
    for check, address in checks:
        failed += told(check.__name__, lambda check=check, address=address: asyncio.run(check(address)))  # type: ignore[misc]
    failed += told("document", lambda: document(digits_http, digits_grpc))
    sys.exit(bool(failed))


def told(name: str, check: Callable[[], None]) -> bool:
    """Whether it failed."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            check()
    except Exception:  # noqa: BLE001 - whatever went wrong, the others are tried
        sys.stdout.write(f"{name:12} FAILED\n{traceback.format_exc()}")
        return True
    sys.stdout.write(f"{name:12} passed\n")
    return False


if __name__ == "__main__":
    main()

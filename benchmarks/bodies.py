"""The same input in each form in which it can be sent, as files for `requests.lua`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMS = ("infer", "rest_json", "rest_binary", "grpc")
MARK = "77777777"
"""Stands in the JSON where a number differs from request to request."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a model is asked.

    Attributes:
        model: Its name.
        name: Of its input.
        shape: For one item.
    """

    model: str
    name: str
    shape: tuple[int, ...]

    def values(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Seeded numbers between 0 and 1."""
        return np.random.default_rng(0).random(self.shape, np.float32)


def write_body(folder: Path, form: str, asked: Input, *, distinct: bool) -> None:
    """Write the files of one form of a request."""
    folder.mkdir()
    if form == "rest_binary":
        path, head, before, behind = _binary(asked)
        mark = "bytes"
    else:
        path, head, before, behind = _json(asked, form)
        mark = "text"
    files = {"path": path.encode(), "head": head.encode(), "before": before, "behind": behind}
    if distinct:
        files["distinct"] = mark.encode()
    else:
        files["before"] += b"1" if mark == "text" else bytes(4)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _json(asked: Input, form: str) -> tuple[str, str, bytes, bytes]:
    # As short as people write them: six digits.
    data = [int(MARK), *(round(float(value), 6) for value in asked.values().ravel()[1:])]
    if form == "infer":
        path, body = "/infer", json.dumps({"request_id": "r", "input_data": data})
    else:
        one = {"name": asked.name, "shape": asked.shape, "datatype": "FP32", "data": data}
        path, body = f"/v2/models/{asked.model}/infer", json.dumps({"inputs": [one]})
    before, behind = body.split(MARK)
    return path, "Content-Type: application/json\n", f"{before}0.".encode(), behind.encode()


def _binary(asked: Input) -> tuple[str, str, bytes, bytes]:
    raw = asked.values().tobytes()
    parameters = {"binary_data_size": len(raw)}
    one = {"name": asked.name, "shape": asked.shape, "datatype": "FP32", "parameters": parameters}
    text = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    head = f"Content-Type: application/octet-stream\nInference-Header-Content-Length: {len(text)}\n"
    return f"/v2/models/{asked.model}/infer", head, text, raw[4:]

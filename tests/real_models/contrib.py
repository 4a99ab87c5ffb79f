"""Models with operators of the package onnxruntime-extensions: its library is named, or its package found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from tests.real_models.catalogue import Chance, Feed, RealModel, rows_of

DOMAIN = "ai.onnx.contrib"
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "cat",
    "dog",
    "sat",
    "##s",
    "a",
    "on",
    "mat",
]
WORDS = np.array(["The", "cat", "dogs", "sat", "on", "a", "mat", "unknown"], object)


def extended(packages: Path, folder: Path) -> list[RealModel]:
    """Write the models; `packages` is where onnxruntime-extensions is."""
    (library,) = (packages / "onnxruntime_extensions").glob("_extensions_pydll*.so")
    return [
        RealModel("contrib upper, named", _upper(folder), _texts, True, library=library, named=True),
        RealModel("contrib tokens, installed", _tokenizer(folder), _sentence, False, library=library),
    ]


def _upper(folder: Path) -> Path:
    node = helper.make_node("StringUpper", ["text"], ["upper"], domain=DOMAIN)
    return _saved(folder / "upper.onnx", node, [_value("upper", TensorProto.STRING, ["N", 2])], ["N", 2])


def _tokenizer(folder: Path) -> Path:
    names = ["input_ids", "token_type_ids", "attention_mask"]
    node = helper.make_node(
        "BertTokenizer", ["text"], names, domain=DOMAIN, vocab_file="\n".join(VOCABULARY), do_lower_case=1
    )
    outputs = [_value(name, TensorProto.INT64, [None]) for name in names]
    return _saved(folder / "tokens.onnx", node, outputs, [1])


def _saved(path: Path, node: NodeProto, outputs: list[ValueInfoProto], shape: list[int | str]) -> Path:
    graph = helper.make_graph([node], "text", [_value("text", TensorProto.STRING, shape)], outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def _value(name: str, element: int, shape: Sequence[int | str | None]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def _texts(chance: Chance, number: int) -> Feed:
    return {"text": chance.choice(WORDS, (rows_of(number), 2))}


def _sentence(chance: Chance, number: int) -> Feed:
    return {"text": np.array([" ".join(chance.choice(WORDS, 2 + number % 6))], object)}

"""The same models in other forms: half precision, weights as int8, and onnxruntime's own format."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from tests.real_models.catalogue import Chance, Draw, Feed, RealModel


def varied(carried: list[RealModel], folder: Path) -> list[RealModel]:
    """Write them; `carried` are the models they are made of."""
    by_name = {model.name: model for model in carried}
    return [
        _half(by_name["ocr recognition"], folder / "recognition16.onnx"),
        _int8(by_name["names encoder"], folder / "encoder8.onnx"),
        _int8(by_name["names decoder"], folder / "decoder8.onnx"),
        _ort(by_name["ocr direction"], folder / "direction.ort"),
        _ort(by_name["silero v5"], folder / "silero.ort"),
    ]


def _half(model: RealModel, path: Path) -> RealModel:
    halved = convert_float_to_float16(onnx.load(model.path), disable_shape_infer=True)
    onnx.save(halved, path)
    return replace(model, name=f"{model.name} fp16", path=path, draw=_drawing_halves(model.draw))


def _drawing_halves(draw: Draw) -> Draw:
    def drawn(chance: Chance, number: int) -> Feed:
        return {name: array.astype(np.float16) for name, array in draw(chance, number).items()}

    return drawn


def _int8(model: RealModel, path: Path) -> RealModel:
    """One scale for all rows: they see each other."""
    logging.disable(logging.WARNING)  # advice on other graphs
    quantize_dynamic(model.path, path)
    logging.disable(logging.NOTSET)
    return replace(model, name=f"{model.name} int8", path=path, batches=False)


def _ort(model: RealModel, path: Path) -> RealModel:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    # Beyond these, the file would suit this machine's processor alone.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    return replace(model, name=f"{model.name} .ort", path=path)

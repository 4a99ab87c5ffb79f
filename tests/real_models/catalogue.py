"""Models that others trained, with inputs as they take them: where each lies, and how to draw a request.

Most are carried by packages (`make models` installs them), those called light by the package onnx. What is
odd about the inputs of each stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Array = npt.NDArray[Any]
Feed = dict[str, Array]
Chance = np.random.Generator
Draw = Callable[[Chance, int], Feed]
"""Makes the inputs of one request, whose rows and sizes follow from its number."""

ROWS = (1, 2, 1, 3, 5)


@dataclass(frozen=True, slots=True)
class RealModel:
    """One model.

    Attributes:
        name: In the table.
        path: Its file.
        draw: Draws a request.
        batches: Whether its rows may share runs; None where that is left to the proof.
        item_by_item: Whether a request of several rows is as many runs: the model takes one row, ever.
        library: Of the operators that onnxruntime has not.
        named: Whether the server is told of that library, or finds the package that has it.
    """

    name: str
    path: Path
    draw: Draw
    batches: bool | None = None
    item_by_item: bool = False
    library: Path | None = None
    named: bool = False


def rows_of(number: int) -> int:
    """How many rows the request of this number has."""
    return ROWS[number % len(ROWS)]


def images(name: str, *shape: int) -> Draw:
    """Fractions from 0 to 1, so many rows of one shape."""
    return lambda chance, number: {name: chance.random((rows_of(number), *shape), np.float32)}


def light() -> list[RealModel]:
    """Networks for images with a batch of 1, random weights, and names with a slash."""
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    inputs = {
        "shufflenet": "gpu_0/data_0",
        "resnet50": "gpu_0/data_0",
        "zfnet512": "gpu_0/data_0",
        "squeezenet": "data_0",
        "inception_v1": "data_0",
        "inception_v2": "data_0",
        "densenet121": "data_0",
        "bvlc_alexnet": "data_0",
    }
    return [
        RealModel(
            f"light_{name}", folder / f"light_{name}.onnx", images(tensor, 3, 224, 224), item_by_item=True
        )
        for name, tensor in inputs.items()
    ]


def carried(folder: Path) -> list[RealModel]:
    """Models that the packages in a folder carry."""
    rapid, speech = folder / "rapidocr_onnxruntime/models", folder / "speechmos"
    romanizer, tashkeel = folder / "arabic_name_romanizer/resources", folder / "text2tashkeel/models"
    return [
        RealModel("magika", folder / "magika/models/standard_v3_3/model.onnx", _files),
        RealModel("silero v5", folder / "silero_vad/data/silero_vad.onnx", _voice, batches=False),
        RealModel("silero ifless", folder / "silero_vad/data/silero_vad_op18_ifless.onnx", _voice, False),
        RealModel("silero half", folder / "silero_vad/data/silero_vad_half.onnx", _voice_half, False),
        RealModel("silero v6", folder / "faster_whisper/assets/silero_vad_v6.onnx", _voice_in_time, False),
        RealModel("ocr detection", rapid / "ch_PP-OCRv4_det_infer.onnx", _page, batches=True),
        RealModel("ocr recognition", rapid / "ch_PP-OCRv4_rec_infer.onnx", _line, batches=True),
        RealModel("ocr direction", rapid / "ch_ppocr_mobile_v2.0_cls_infer.onnx", _line, batches=True),
        RealModel("captcha", folder / "ddddocr/common_old.onnx", _captcha, batches=False),
        RealModel(
            "detector 416",
            folder / "ddddocr/common_det.onnx",
            images("images", 3, 416, 416),
            item_by_item=True,
        ),
        RealModel("detector 320n", folder / "nudenet/320n.onnx", _photo, batches=True),
        RealModel(
            "basic pitch",
            folder / "basic_pitch/saved_models/icassp_2022/nmp.onnx",
            images("serving_default_input_2:0", 43844, 1),
        ),
        RealModel("swift f0", folder / "swift_f0/model.onnx", _pitch, batches=False),
        RealModel(
            "smart turn int8", folder / "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx", _turn
        ),
        RealModel("dnsmos", speech / "dnsmos_models/model_v8.onnx", images("input_1", 900, 120)),
        RealModel("aecmos", speech / "aecmos_models/Run_1663915512_Stage_0.onnx", _echo, batches=False),
        RealModel("plcmos", speech / "plcmos_models/plcmos_v2.onnx", _concealment, batches=False),
        RealModel("yomi strings", folder / "pyopenjtalk/yomi_model/nani_enc.onnx", _morphemes),
        RealModel("yomi numbers", folder / "pyopenjtalk/yomi_model/nani_model.onnx", images("input", 131)),
        RealModel("names encoder", romanizer / "encoder.onnx", _name, batches=True),
        RealModel("names decoder", romanizer / "decoder.onnx", _prefix, batches=True),
        RealModel("tashkeel int8", tashkeel / "bilstm.int8.onnx", _letters("input_ids"), batches=False),
        RealModel("tashkeel v3 int8", tashkeel / "rawi_v3.int8.onnx", _letters("input"), batches=False),
    ]


def _files(chance: Chance, number: int) -> Feed:
    """Bytes, and 256 behind their end."""
    drawn = chance.integers(0, 256, (rows_of(number), 2048)).astype(np.int32)
    drawn[:, 2048 - 300 * (number % 4) :] = 256
    return {"bytes": drawn}


def _voice(chance: Chance, number: int) -> Feed:
    """A scalar for the sample rate, and a state whose second axis is the rows."""
    rows = rows_of(number)
    return {
        "input": _sound(chance, rows, 576),
        "state": 0.1 * chance.standard_normal((2, rows, 128), np.float32),
        "sr": np.array(16_000),
    }


def _voice_half(chance: Chance, number: int) -> Feed:
    feed = _voice(chance, number)
    del feed["sr"]
    return feed


def _voice_in_time(chance: Chance, number: int) -> Feed:
    """The first axis is time: each row changes those behind it."""
    state = {name: 0.1 * chance.standard_normal((1, 1, 128), np.float32) for name in ("h", "c")}
    return {"input": _sound(chance, 1 + number % 7, 576), **state}


def _page(chance: Chance, number: int) -> Feed:
    height, width = ((64, 96), (96, 64), (32, 160))[number % 3]
    return {"x": chance.random((rows_of(number), 3, height, width), np.float32)}


def _line(chance: Chance, number: int) -> Feed:
    return {"x": chance.random((rows_of(number), 3, 48, (64, 192, 320)[number % 3]), np.float32)}


def _captcha(chance: Chance, number: int) -> Feed:
    return {"input1": chance.random((1, 1, 64, 80 + 8 * (number % 5)), np.float32)}


def _photo(chance: Chance, number: int) -> Feed:
    """The width of the answer is an expression of both."""
    height, width = ((160, 160), (128, 192), (320, 320))[number % 3]
    return {"images": chance.random((rows_of(number), 3, height, width), np.float32)}


def _pitch(chance: Chance, number: int) -> Feed:
    """Sound of any length, and two scalars."""
    sound = _sound(chance, 1, 4_000 + 1_000 * (number % 4))
    return {"audio": sound, "fmin": np.array(46.875, np.float32), "fmax": np.array(2093.75, np.float32)}


def _turn(chance: Chance, number: int) -> Feed:
    return {"input_features": chance.standard_normal((1 + number % 2, 80, 800), np.float32)}


def _echo(chance: Chance, number: int) -> Feed:
    """A state whose second axis is the rows, in a graph that takes one."""
    frames = 20 + 10 * (number % 3)
    state = 0.1 * chance.standard_normal((4, 1, 64), np.float32)
    return {"input": chance.standard_normal((1, 3, frames, 160), np.float32), "h0": state}


def _concealment(chance: Chance, number: int) -> Feed:
    """Rows in, and one scalar out."""
    rows = rows_of(number)
    sound = chance.standard_normal((rows, 1, 20 + 10 * (number % 3), 257), np.float32)
    return {"degraded_audio": sound, "rater_embed": chance.standard_normal((rows, 64), np.float32)}


def _morphemes(chance: Chance, number: int) -> Feed:
    """Categories; those that the encoder does not know count as none."""
    words = np.array(["名詞", "助詞", "動詞", "*", "一般", "格助詞", "特殊・デス", "基本形", "未知"], object)
    return {"input": words[chance.integers(0, len(words), (rows_of(number), 6))]}


def _name(chance: Chance, number: int) -> Feed:
    """Tokens beside a mask of booleans; both must be of one length."""
    rows, length = rows_of(number), 4 + 3 * (number % 4)
    lengths = chance.integers(1, length + 1, (rows, 1))
    mask = np.arange(length) < lengths
    return {"src": np.where(mask, chance.integers(4, 40, (rows, length)), 0), "src_mask": mask}


def _prefix(chance: Chance, number: int) -> Feed:
    rows, length = rows_of(number), 4 + 3 * (number % 4)
    return {
        "prefix": chance.integers(1, 40, (rows, 1 + number % 5)),
        "memory": chance.standard_normal((rows, length, 256), np.float32),
        "src_mask": np.arange(length) < chance.integers(1, length + 1, (rows, 1)),
        "hidden": chance.standard_normal((rows, 2, 256), np.float32),
    }


def _letters(name: str) -> Draw:
    return lambda chance, number: {name: chance.integers(1, 40, (rows_of(number), 5 + 4 * (number % 4)))}


def _sound(chance: Chance, rows: int, samples: int) -> Array:
    """A tone in noise."""
    at = np.arange(samples) / 16_000
    tones = np.sin(2 * np.pi * chance.uniform(100, 400, (rows, 1)) * at)
    return np.asarray(0.5 * tones + 0.05 * chance.standard_normal((rows, samples)), np.float32)

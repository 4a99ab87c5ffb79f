import json

import numpy as np
import pytest

from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType, ModelSpec
from ringserve.wire.oip_answer import FORMS_MAX, AnswerForms, write_answer
from ringserve.wire.oip_asked import AskedOutput
from tests.wire.oip_bodies import model, tensor

NAME = 'onnx::Gemm_0 "quoted" \N{SNOWMAN}'
SPEC = ModelSpec(NAME, "1", "d", (), (), True, 8, True, "cpu")


def result(dtype: DType, shape: tuple[int, ...], raw: bytes) -> Result:
    return Result(ResultLayout((TensorLayout(NAME, dtype, shape),)), raw)


@pytest.mark.parametrize("request_id", [None, "", 'a "quoted" one'])
def test_any_name_is_written_and_an_id_only_where_there_is_one(request_id: str | None) -> None:
    body, size = write_answer(
        SPEC, request_id, [AskedOutput(binary=False, top=0)], result(DType.INT8, (1,), b"\x05")
    )
    read = json.loads(body)
    assert size is None
    assert read["model_name"] == read["outputs"][0]["name"] == NAME
    assert read.get("id") == request_id
    assert ("id" in read) == (request_id is not None)


def test_a_scalar_and_an_empty_tensor_are_answers_too() -> None:
    for shape, raw in (((), b"\0\0\x80?"), ((0, 4), b"")):
        body, size = write_answer(
            SPEC, None, [AskedOutput(binary=True, top=0)], result(DType.FP32, shape, raw)
        )
        (output,) = json.loads(body[:size])["outputs"]
        assert output["shape"] == list(shape)
        assert output["parameters"] == {"binary_data_size": len(raw)}
        assert body[size:] == raw


def test_unsigned_numbers_are_compared_as_numbers() -> None:
    raw = np.array([[0, 255, 7]], "u1").tobytes()
    body, _ = write_answer(SPEC, None, [AskedOutput(binary=False, top=2)], result(DType.UINT8, (1, 3), raw))
    assert json.loads(body)["outputs"][0]["data"] == ["255:1", "7:2"]


@pytest.mark.parametrize("request_id", [None, "é"])
@pytest.mark.parametrize("binary", [(False, False), (True, True), (True, False), (False, True)])
@pytest.mark.parametrize("top", [0, 1])
def test_a_form_seen_before_is_written_as_any_other(
    request_id: str | None, binary: tuple[bool, bool], top: int
) -> None:
    layouts = (TensorLayout('q"', DType.FP32, (2, 2)), TensorLayout("ids", DType.INT64, (2,)))
    result = Result(ResultLayout(layouts), bytes(range(32)))
    asked = (AskedOutput(binary[0], top), AskedOutput(binary[1], 0))
    spec = model(tensor("x", DType.FP32, "n", 2))
    forms = AnswerForms(spec)
    for _ in range(2):
        assert forms.write(request_id, asked, result) == write_answer(spec, request_id, asked, result)


def test_forms_are_bounded() -> None:
    forms = AnswerForms(model(tensor("x", DType.FP32, "n", 2)))
    for rows in range(FORMS_MAX + 3):
        layout = ResultLayout((TensorLayout("y", DType.FP32, (rows,)),))
        forms.write(None, (AskedOutput(True, 0),), Result(layout, bytes(4 * rows)))
    assert len(forms._forms) == 3

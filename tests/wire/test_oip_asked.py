import pytest

from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest
from ringserve.wire.oip_asked import TIMEOUT_US_MAX, AskedOutput, outputs_of, timeout_of

OUTPUTS = tuple(TensorSpec(name, DType.FP32, ("n",)) for name in ("y", "z"))
SPEC = ModelSpec("m", "1", "d", (), OUTPUTS, True, 8, True, "cpu")


@pytest.mark.parametrize("value", [None, []])
@pytest.mark.parametrize("binary", [True, False])
def test_no_outputs_are_all_of_them_in_the_form_of_the_request(value: object, binary: bool) -> None:
    assert outputs_of(value, SPEC, binary=binary) == ((), (AskedOutput(binary, 0),) * 2)


def test_an_output_may_have_a_form_of_its_own() -> None:
    asked = [{"name": "z", "parameters": {"binary_data": False, "classification": 3}}, {"name": "y"}]
    names, outputs = outputs_of(asked, SPEC, binary=True)
    assert names == ("z", "y")
    assert outputs == (AskedOutput(binary=False, top=3), AskedOutput(binary=True, top=0))


@pytest.mark.parametrize("value", [0, 1, TIMEOUT_US_MAX])
def test_a_time_out_is_a_number_of_microseconds(value: int) -> None:
    assert timeout_of({"timeout": value}) == value
    assert timeout_of({}) == 0


@pytest.mark.parametrize("value", [-1, TIMEOUT_US_MAX + 1, 1.5, True, None, "1"])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="timeout must be a whole number of microseconds"):
        timeout_of({"timeout": value})

from __future__ import annotations

from ringserve.core.tensor import DType, TensorSpec, count_elements, describe_shape


def test_each_type_is_found_by_its_onnx_name_and_knows_its_size() -> None:
    for dtype in DType:
        assert DType.from_onnx(dtype.onnx) is dtype
        if dtype.numpy is not None:
            assert dtype.numpy.itemsize == dtype.size
    assert DType.from_onnx("sequence(tensor(float))") is None


def test_floats_and_integers_are_told_apart() -> None:
    assert DType.FP16.is_float
    assert not DType.FP16.is_integer
    assert DType.UINT8.is_integer
    assert not DType.BOOL.is_integer


def test_a_first_axis_that_is_dynamic_or_one_is_the_batch_axis() -> None:
    assert TensorSpec("x", DType.FP32, ("batch", 3)).item_shape == (3,)
    assert TensorSpec("x", DType.FP32, (None, 3)).item_shape == (3,)
    assert TensorSpec("x", DType.FP32, (1, 3)).item_shape == (3,)
    assert TensorSpec("x", DType.FP32, (2, 3)).item_shape == (2, 3)
    assert TensorSpec("x", DType.FP32, ()).item_shape == ()
    assert TensorSpec("x", DType.FP32, ("b", None, "h")).describe_item() == "[?, h]"


def test_a_scalar_has_one_element() -> None:
    assert count_elements(()) == 1
    assert count_elements((2, 3)) == 6
    assert describe_shape((1, "a", None)) == "[1, a, ?]"

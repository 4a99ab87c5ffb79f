import numpy as np
import onnx
import onnxruntime as ort

from ringserve.models import digits


def test_held_out_images_are_pixels_with_every_digit_in_its_share() -> None:
    images, labels = digits.held_out()
    assert images.shape == (360, 64)
    assert images.dtype == np.float32
    assert labels.shape == (360,)
    assert labels.dtype == np.int64
    assert (images.min(), images.max()) == (0.0, 16.0)
    assert set(np.bincount(labels, minlength=10)) <= {35, 36, 37}


def test_model_reads_97_percent_of_the_held_out_images_rightly() -> None:
    images, labels = digits.held_out()
    session = ort.InferenceSession(digits.digits_path(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"pixels": images})
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() >= 0.97


def test_model_says_what_it_is_and_whose_data_taught_it() -> None:
    model = onnx.load(digits.digits_path())
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert props["licence"] == "CC BY 4.0"
    assert "Alpaydin" in props["data_set_authors"]
    assert "handwritten digits" in model.doc_string
    (pixels,) = model.graph.input
    dims = pixels.type.tensor_type.shape.dim
    assert (dims[0].dim_param, dims[1].dim_value) == ("batch", 64)

import numpy as np
import onnxruntime as ort

from ringserve.models.digits import digits_path, held_out
from training import digits


def probabilities_of(model: str | bytes) -> digits.Floats:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"pixels": held_out()[0]})
    return np.asarray(probabilities, dtype=np.float32)


def test_training_again_gives_the_model_that_ships() -> None:
    again = probabilities_of(digits.export(digits.train(digits.split())).SerializeToString())
    shipped = probabilities_of(str(digits_path()))
    # Rounding differs between processors and grows over the passes; measured at most 0.02 and 0.0002.
    assert np.abs(again - shipped).max() < 0.1
    assert np.abs(again - shipped).mean() < 0.001
    assert (again.argmax(axis=1) == shipped.argmax(axis=1)).mean() >= 0.995


def test_held_out_images_are_the_ones_set_aside_and_none_is_trained_on() -> None:
    data = digits.split()
    images, labels = held_out()
    assert np.array_equal(images, data.held_out_images)
    assert np.array_equal(labels, data.held_out_labels)
    trained_on = {image.tobytes() for image in data.train_images}
    assert not any(image.tobytes() in trained_on for image in images)


def test_shifted_copies_move_every_image_by_one_pixel_each_way() -> None:
    image = np.zeros((1, 8, 8), dtype=np.float32)
    image[0, 3, 4] = 16.0
    copies = digits.with_shifts(image.reshape(1, 64)).reshape(5, 8, 8)
    assert {tuple(np.argwhere(copy)[0].tolist()) for copy in copies} == {
        (3, 4),
        (3, 5),
        (3, 3),
        (4, 4),
        (2, 4),
    }

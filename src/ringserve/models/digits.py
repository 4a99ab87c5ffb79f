"""The bundled digits model and the images it has never seen.

UCI "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, CC BY 4.0; see NOTICE.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FOLDER = Path(__file__).resolve().parent


def digits_path() -> Path:
    """Return the model's path: `pixels` float32 `[batch, 64]` to `probabilities` float32 `[batch, 10]`."""
    return _FOLDER / "digits.onnx"


def held_out() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 360 images, float32 `[360, 64]` of 0 to 16, and their labels, int64 `[360]` of 0 to 9."""
    with np.load(_FOLDER / "digits_held_out.npz", allow_pickle=False) as arrays:
        return arrays["images"].astype(np.float32), arrays["labels"].astype(np.int64)

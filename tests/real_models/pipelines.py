"""Pipelines of scikit-learn as people convert them with skl2onnx: columns, strings, maps, doubles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.real_models.catalogue import Array, Chance, Feed, RealModel, rows_of

SENTENCES = (
    "the engine starts and the lights come on",
    "rain is expected in the north",
    "the match ended without a goal",
    "wind and rain over the coast",
    "a late goal won the match",
    "the new engine needs less oil",
)
TOPICS = ("cars", "weather", "sport", "weather", "sport", "cars")
TOWNS, SIZES = ("Aachen", "Bonn", "Celle", "Düren"), ("small", "large")


def converted(folder: Path) -> list[RealModel]:
    """Train and convert; the same each time, as far as scikit-learn is."""
    return [_forest(folder), _words(folder), _columns(folder), _doubles(folder), _clusters(folder)]


def _forest(folder: Path) -> RealModel:
    """Numbers, and a map from class to probability out."""
    flowers = load_iris(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(*flowers)
    proto = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))])
    return _saved(folder / "forest.onnx", proto.SerializeToString(), _flowers, batches=True)


def _words(folder: Path) -> RealModel:
    """Sentences in, words and maps out. Lower-casing would need the locale en_US.UTF-8 on the machine."""
    model = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(SENTENCES, TOPICS)
    proto = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))])
    return _saved(folder / "words.onnx", proto.SerializeToString(), _sentences, batches=True)


def _columns(folder: Path) -> RealModel:
    """One input for each column of a table, of three types; a category that was not trained is refused."""
    chance = np.random.default_rng(1)
    table = np.empty((60, 3), object)
    table[:, 0], table[:, 1] = chance.normal(50, 20, 60), chance.choice(TOWNS, 60)
    table[:, 2] = chance.choice(SIZES, 60)
    price = (table[:, 0].astype(float) > 50) & (table[:, 2] == "large")
    steps = [("number", StandardScaler(), [0]), ("words", OneHotEncoder(handle_unknown="error"), [1, 2])]
    model = make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(table, price.astype(int))
    columns = [
        ("area", FloatTensorType([None, 1])),
        ("town", StringTensorType([None, 1])),
        ("size", StringTensorType([None, 1])),
    ]
    return _saved(
        folder / "columns.onnx", to_onnx(model, initial_types=columns).SerializeToString(), _flats, True
    )


def _doubles(folder: Path) -> RealModel:
    """Distances to neighbours, in double precision."""
    model = KNeighborsRegressor(3).fit(*load_diabetes(return_X_y=True))
    proto = to_onnx(model, initial_types=[("X", DoubleTensorType([None, 10]))])
    return _saved(
        folder / "doubles.onnx",
        proto.SerializeToString(),
        lambda chance, number: {"X": 0.05 * chance.standard_normal((rows_of(number), 10))},
        batches=True,
    )


def _clusters(folder: Path) -> RealModel:
    """A whole number and distances out."""
    model = KMeans(3, n_init=1, random_state=0).fit(load_iris().data)
    proto = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))])
    return _saved(folder / "clusters.onnx", proto.SerializeToString(), _flowers, batches=True)


def _saved(path: Path, model: bytes, draw: object, batches: bool) -> RealModel:
    path.write_bytes(model)
    return RealModel(f"skl {path.stem}", path, draw, batches)  # type: ignore[arg-type]


def _flowers(chance: Chance, number: int) -> Feed:
    return {"X": chance.uniform(0.1, 8, (rows_of(number), 4)).astype(np.float32)}


def _sentences(chance: Chance, number: int) -> Feed:
    words = np.array(" ".join(SENTENCES).split(), object)
    return {"text": _column([" ".join(chance.choice(words, 3 + number % 5)) for _ in range(rows_of(number))])}


def _flats(chance: Chance, number: int) -> Feed:
    rows = rows_of(number)
    return {
        "area": chance.normal(50, 20, (rows, 1)).astype(np.float32),
        "town": _column(list(chance.choice(TOWNS, rows))),
        "size": _column(list(chance.choice(SIZES, rows))),
    }


def _column(texts: list[str]) -> Array:
    return np.array([[str(text)] for text in texts], object)

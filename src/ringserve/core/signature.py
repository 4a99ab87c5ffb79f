"""What one request or answer looks like, apart from its numbers; and the digest that names a request.

Requests of one shape share one `Signature`, made once and then looked up, so that the hot path
handles it as one object and one run of bytes. The digest is BLAKE3 cut to 128 bits over the length of
the encoded signature, the signature, and the tensors' bytes: the lengths of the tensors follow from
the signature, so no two different requests give the same input to the hash. With a salt the hash is BLAKE3's
keyed mode, which shares no digest with the plain one nor with another salt.
"""

from __future__ import annotations

import json
from typing import NewType

from blake3 import blake3

from ringserve.core.tensor import DType, count_elements
from ringserve.limits import TENSOR_ELEMENTS_MAX

Key = NewType("Key", bytes)
"""16 bytes: the place on the ring, the name of a running computation and of its answer in the cache."""

Salt = NewType("Salt", bytes)
"""32 bytes that set the requests of one caller apart from equal ones of others."""

KEY_SIZE = 16
DIMENSIONS_MAX = 32
TENSORS_MAX = 1024


class TensorLayout:
    """A concrete tensor: name, type and whole-number shape; `byte_size` is 0 for BYTES."""

    __slots__ = ("byte_size", "dtype", "name", "shape")

    def __init__(self, name: str, dtype: DType, shape: tuple[int, ...]) -> None:
        """Compute the size once."""
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.byte_size = count_elements(shape) * dtype.size

    def as_row(self) -> list[object]:
        """The layout as JSON-able data."""
        return [self.name, self.dtype.name, list(self.shape)]

    @classmethod
    def from_row(cls, row: object) -> TensorLayout:
        """Rebuild a layout from `as_row`.

        Raises:
            ValueError: It is not the row of a layout, or larger than any limit.
        """
        if not (isinstance(row, list) and len(row) == 3):  # noqa: PLR2004 - name, type, shape
            raise ValueError("a tensor's layout is [name, type, shape]")
        name, dtype, shape = row
        if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list)):
            raise ValueError("a tensor's layout is [name, type, shape]")
        if len(shape) > DIMENSIONS_MAX or not all(
            type(dim) is int and 0 <= dim <= TENSOR_ELEMENTS_MAX for dim in shape
        ):
            raise ValueError(f"the shape of {name!r} is not a list of sizes")
        # A 0 must not hide the other sizes: what a model makes of an empty tensor may be that large.
        elements = count_elements(tuple(dim or 1 for dim in shape))
        if dtype not in DType.__members__ or elements > TENSOR_ELEMENTS_MAX:
            raise ValueError(f"the tensor {name!r} has an unknown type or too many elements")
        return cls(name, DType[dtype], tuple(shape))


class Signature:
    """Everything about a request that its tensors' bytes do not say.

    Attributes:
        model: Name asked for.
        version: Version asked for; empty when none was.
        inputs: Layouts in the model's order; the payload holds their bytes in this order.
        outputs: Outputs asked for; empty for all.
        encoded: The canonical bytes of the above.
        group: Equal for requests to one model that may share a run where its first axis counts items: all
            but the number of items is the same. A request without an item is of a group of its own.
        rows: Items along the first axis; whoever knows that it is no batch axis sets 1.
        payload_size: Bytes of all tensors, or -1 where a BYTES tensor leaves it open.
    """

    __slots__ = (
        "_prefix",
        "encoded",
        "group",
        "inputs",
        "model",
        "outputs",
        "payload_size",
        "rows",
        "version",
    )

    def __init__(
        self,
        model: str,
        version: str,
        inputs: tuple[TensorLayout, ...],
        outputs: tuple[str, ...] = (),
    ) -> None:
        """Encode it once; the caller keeps the object and uses it again."""
        self.model = model
        self.version = version
        self.inputs = inputs
        self.outputs = outputs
        rows = [layout.as_row() for layout in inputs]
        self.encoded = _canonical([model, version, rows, list(outputs)])
        self.rows = inputs[0].shape[0] if inputs and inputs[0].shape else 1
        self.group = _group(inputs, outputs) if self.rows else self.encoded
        self.payload_size = _payload_size(inputs)
        self._prefix = len(self.encoded).to_bytes(4, "little") + self.encoded

    def digest(self, payload: bytes, salt: Salt | None = None) -> Key:
        """Name the request with this signature and these bytes: 128 bits of BLAKE3.

        Args:
            payload: The tensors' bytes.
            salt: Of the caller, where its requests must not meet equal ones of others in a cache.
        """
        if salt is None:
            return Key(blake3(self._prefix + payload).digest(KEY_SIZE))
        return Key(blake3(self._prefix + payload, key=salt).digest(KEY_SIZE))

    @classmethod
    def decode(cls, encoded: bytes) -> Signature:
        """Rebuild a signature from `encoded`; the bytes may come from anybody.

        Raises:
            ValueError: They are not the encoding of a signature.
        """
        model, version, inputs, outputs = _decode(encoded, 4)
        if not (isinstance(model, str) and isinstance(version, str)):
            raise ValueError("a signature names model and version")
        if not (isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) <= TENSORS_MAX):
            raise ValueError("a signature lists inputs and outputs")
        if not all(isinstance(name, str) for name in outputs):
            raise ValueError("a signature lists outputs by name")
        return cls(model, version, tuple(TensorLayout.from_row(row) for row in inputs), tuple(outputs))


class ResultLayout:
    """The layouts of an answer's tensors, in order, and their canonical bytes.

    Attributes:
        payload_size: Bytes of all tensors, or -1 where a BYTES tensor leaves it open.
    """

    __slots__ = ("encoded", "outputs", "payload_size")

    def __init__(self, outputs: tuple[TensorLayout, ...]) -> None:
        """Encode it once; the caller keeps the object and uses it again."""
        self.outputs = outputs
        self.encoded = _canonical([[layout.as_row() for layout in outputs]])
        self.payload_size = _payload_size(outputs)

    @classmethod
    def decode(cls, encoded: bytes) -> ResultLayout:
        """Rebuild a layout from `encoded`; the bytes may come from anybody.

        Raises:
            ValueError: They are not the encoding of a layout.
        """
        (rows,) = _decode(encoded, 1)
        if not (isinstance(rows, list) and 0 < len(rows) <= TENSORS_MAX):
            raise ValueError("an answer lists its outputs, one at least")
        return cls(tuple(TensorLayout.from_row(row) for row in rows))


class Result:
    """An answer: what it looks like, and its tensors' raw bytes in that order."""

    __slots__ = ("layout", "payload")

    def __init__(self, layout: ResultLayout, payload: bytes) -> None:
        """Bind the bytes to their layout."""
        self.layout = layout
        self.payload = payload


def _group(inputs: tuple[TensorLayout, ...], outputs: tuple[str, ...]) -> bytes:
    items = [[layout.name, layout.dtype.name, layout.shape[1:]] for layout in inputs]
    return _canonical([items, outputs])


def _payload_size(layouts: tuple[TensorLayout, ...]) -> int:
    if any(layout.dtype is DType.BYTES for layout in layouts):
        return -1
    return sum(layout.byte_size for layout in layouts)


def salt_of(label: str) -> Salt:
    """The salt of a caller of this name."""
    return Salt(blake3(label.encode(), derive_key_context="ringserve 1 cache scope of a caller").digest())


def _canonical(value: list[object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _decode(encoded: bytes, fields: int) -> list[object]:
    try:
        value = json.loads(encoded)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not (isinstance(value, list) and len(value) == fields):
        raise ValueError(f"expected a list of {fields} fields")
    return value

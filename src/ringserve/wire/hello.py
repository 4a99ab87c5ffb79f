"""How the two ends of a link greet: JSON, so that it can grow and be read in a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from ringserve.core.router.worker_state import Hello, Offer, Unready
from ringserve.core.signature import DIMENSIONS_MAX, TENSORS_MAX
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.wire.frames import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOL = "ringserve-link"
"""The token of the HTTP Upgrade that opens a link."""

VERSION = 2
CALLED_MAX = 300
"""Characters of a name: a host's has 253 at most."""

_Size = Annotated[int, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class _Tensor(msgspec.Struct, forbid_unknown_fields=False):
    name: str
    dtype: str
    shape: Annotated[list[_Size | str | None], msgspec.Meta(max_length=DIMENSIONS_MAX)]


class _Model(msgspec.Struct):
    name: str
    version: str
    digest: str
    inputs: Annotated[list[_Tensor], msgspec.Meta(max_length=TENSORS_MAX)]
    outputs: Annotated[list[_Tensor], msgspec.Meta(max_length=TENSORS_MAX)]
    batching: bool
    max_batch: Annotated[int, msgspec.Meta(ge=1)]
    cacheable: bool
    platform: str
    labels: list[str] = []


class _Offer(msgspec.Struct):
    number: _Number
    default: bool
    model: _Model


class _Unready(msgspec.Struct):
    name: str
    version: str
    state: str
    reason: str


class _Models(msgspec.Struct):
    offers: list[_Offer]
    unready: list[_Unready] = []


class _WorkerHello(msgspec.Struct):
    link: int
    node_id: str
    incarnation: str
    credit_items: _Size
    credit_bytes: _Size
    run_timeout_s: _Seconds
    slowest_run_s: _Seconds
    offers: list[_Offer]
    unready: list[_Unready] = []


class GatewayHello(msgspec.Struct, omit_defaults=True):
    """What a gateway says first.

    Attributes:
        link: Version of the link it speaks.
        called: What it calls the worker: the worker warns when two gateways differ in this.
        proof: That it knows the fleet's secret, see `proof`; empty where none is asked for.
    """

    link: int
    called: Annotated[str, msgspec.Meta(max_length=CALLED_MAX)]
    proof: Annotated[str, msgspec.Meta(max_length=CALLED_MAX)] = ""


def encode_worker_hello(hello: Hello) -> bytes:
    """The body of a worker's HELLO."""
    return msgspec.json.encode(
        _WorkerHello(
            link=VERSION,
            node_id=hello.node_id,
            incarnation=hello.incarnation,
            credit_items=hello.credit_items,
            credit_bytes=hello.credit_bytes,
            run_timeout_s=hello.run_timeout_s,
            slowest_run_s=hello.slowest_run_s,
            offers=[_offered(offer) for offer in hello.offers],
            unready=[_unserved(model) for model in hello.unready],
        )
    )


def decode_worker_hello(body: bytes) -> Hello:
    """Read a worker's HELLO.

    Raises:
        LinkError: It is none, or of another version.
    """
    try:
        heard = msgspec.json.decode(body, type=_WorkerHello)
        offers = _offers(heard.offers)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError) as cause:
        raise LinkError(f"the worker's hello cannot be read: {cause}") from cause
    _check_version(heard.link)
    return Hello(
        node_id=heard.node_id,
        incarnation=heard.incarnation,
        offers=offers,
        credit_items=heard.credit_items,
        credit_bytes=heard.credit_bytes,
        run_timeout_s=heard.run_timeout_s,
        slowest_run_s=heard.slowest_run_s,
        unready=_unready(heard.unready),
    )


def encode_models(offers: Iterable[Offer], unready: Iterable[Unready] = ()) -> bytes:
    """The body of a MODELS frame."""
    models = _Models([_offered(offer) for offer in offers], [_unserved(model) for model in unready])
    return msgspec.json.encode(models)


def decode_models(body: bytes) -> tuple[tuple[Offer, ...], tuple[Unready, ...]]:
    """Read a MODELS frame.

    Raises:
        LinkError: It is none.
    """
    try:
        heard = msgspec.json.decode(body, type=_Models)
        return _offers(heard.offers), _unready(heard.unready)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError) as cause:
        raise LinkError(f"a list of models cannot be read: {cause}") from cause


def encode_gateway_hello(called: str, proof: str = "") -> bytes:
    """The body of a gateway's HELLO."""
    return msgspec.json.encode(GatewayHello(link=VERSION, called=called, proof=proof))


def decode_gateway_hello(body: bytes) -> GatewayHello:
    """Read a gateway's HELLO.

    Raises:
        LinkError: It is none, or of another version.
    """
    try:
        heard = msgspec.json.decode(body, type=GatewayHello)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise LinkError(f"the gateway's hello cannot be read: {cause}") from cause
    _check_version(heard.link)
    return heard


def encode_spec(spec: ModelSpec) -> bytes:
    """A model's spec by itself."""
    return msgspec.json.encode(_model_of(spec))


def decode_spec(body: bytes) -> ModelSpec:
    """Read what `encode_spec` wrote."""
    return _spec_of(msgspec.json.decode(body, type=_Model))


def _model_of(spec: ModelSpec) -> _Model:
    return _Model(
        name=spec.name,
        version=spec.version,
        digest=spec.digest,
        inputs=[_Tensor(tensor.name, tensor.dtype.name, list(tensor.shape)) for tensor in spec.inputs],
        outputs=[_Tensor(tensor.name, tensor.dtype.name, list(tensor.shape)) for tensor in spec.outputs],
        batching=spec.batching,
        max_batch=spec.max_batch,
        cacheable=spec.cacheable,
        platform=spec.platform,
        labels=list(spec.labels),
    )


def _offered(offer: Offer) -> _Offer:
    return _Offer(offer.number, offer.default, _model_of(offer.spec))


def _offers(rows: list[_Offer]) -> tuple[Offer, ...]:
    numbers = [row.number for row in rows]
    if len(set(numbers)) < len(numbers):
        raise LinkError(f"a worker offers two models under one number: {numbers}")
    return tuple(Offer(row.number, _spec_of(row.model), row.default) for row in rows)


def _unserved(model: Unready) -> _Unready:
    return _Unready(model.name, model.version, model.state, model.reason)


def _unready(rows: list[_Unready]) -> tuple[Unready, ...]:
    return tuple(Unready(row.name, row.version, row.state, row.reason) for row in rows)


def _spec_of(model: _Model) -> ModelSpec:
    return ModelSpec(
        name=model.name,
        version=model.version,
        digest=model.digest,
        inputs=tuple(_tensor(tensor) for tensor in model.inputs),
        outputs=tuple(_tensor(tensor) for tensor in model.outputs),
        batching=model.batching,
        max_batch=model.max_batch,
        cacheable=model.cacheable,
        platform=model.platform,
        labels=tuple(model.labels),
    )


def _tensor(row: _Tensor) -> TensorSpec:
    return TensorSpec(row.name, DType[row.dtype], tuple(row.shape))


def _check_version(version: int) -> None:
    if version != VERSION:
        raise LinkError(f"the other end speaks version {version} of the link, this one {VERSION}")

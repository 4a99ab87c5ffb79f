"""What a REST request of the Open Inference Protocol asks for beside its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from ringserve.core.names import listed, named
from ringserve.errors import BadRequest
from ringserve.wire.nested import shown
from ringserve.wire.oip_json import has_json_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.tensor import ModelSpec

TIMEOUT_US_MAX = 86_400_000_000
Fields = dict[str, object]


class AskedOutput(NamedTuple):
    """One output of the answer.

    Attributes:
        binary: Whether its bytes follow the JSON.
        top: How many classes to name instead of its numbers; 0 for the numbers.
    """

    binary: bool
    top: int


def parameters_of(fields: Fields, what: str) -> Fields:
    """The `parameters` of a request, an input or an output; empty where there are none.

    Raises:
        BadRequest: They are no object.
    """
    found = fields.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadRequest(f"parameters of {what} must be an object, got {shown(found)}")
    return cast("Fields", found)


def flag_of(parameters: Fields, name: str, what: str, *, default: bool) -> bool:
    """A parameter that is true or false.

    Raises:
        BadRequest: It is neither.
    """
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"parameter {name} of {what} must be true or false, got {shown(value)}")
    return value


def timeout_of(parameters: Fields) -> int:
    """How long the caller waits, in microseconds; 0 where it does not say.

    Raises:
        BadRequest: It is no such number.
    """
    value = parameters.get("timeout", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= TIMEOUT_US_MAX:
        raise BadRequest(f"parameter timeout must be a whole number of microseconds, got {shown(value)}")
    return value


def outputs_of(
    value: object, spec: ModelSpec, *, binary: bool
) -> tuple[tuple[str, ...], tuple[AskedOutput, ...]]:
    """The outputs asked for, by name, and in which form; no names where it is all of them in their order.

    Args:
        value: The request's `outputs`; None and an empty list ask for all.
        spec: The model.
        binary: The form of those that do not say theirs.

    Raises:
        BadRequest: They are no such list, or name what the model does not give.
    """
    known = [tensor.name for tensor in spec.outputs]
    if value is None or value == []:
        return (), _checked(spec, known, [AskedOutput(binary, 0)] * len(known))
    if not isinstance(value, list):
        raise BadRequest(f"outputs must be a list, got {shown(value)}")
    names: list[str] = []
    asked: list[AskedOutput] = []
    for position, fields in enumerate(value):
        if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
            raise BadRequest(
                f'outputs[{position}] must be an object with a name, such as {{"name": "{known[0]}"}}'
            )
        name = fields["name"]
        if name not in known:
            raise BadRequest(
                f"output {named(name)} is none of model {spec.name}, which gives {listed(known)}"
            )
        if name in names:
            raise BadRequest(f"output {name} is asked for twice")
        names.append(name)
        asked.append(_asked(fields, f"output {name}", binary=binary))
    return (() if names == known else tuple(names)), _checked(spec, names, asked)


def _checked(spec: ModelSpec, names: Sequence[str], asked: Sequence[AskedOutput]) -> tuple[AskedOutput, ...]:
    """Refuse a form that an output cannot have before anything is run for it."""
    types = {tensor.name: tensor.dtype for tensor in spec.outputs}
    for name, one in zip(names, asked, strict=True):
        dtype = types[name]
        if one.top and not (dtype.is_float or dtype.is_integer):
            raise BadRequest(f"output {name} has type {dtype.name}, which has no largest classes")
        if not (one.binary or one.top or has_json_form(dtype)):
            raise BadRequest(
                f"output {name} has type {dtype.name}, which JSON cannot carry; "
                "ask for it as a binary tensor (binary_data: true)"
            )
    return tuple(asked)


def _asked(fields: Fields, what: str, *, binary: bool) -> AskedOutput:
    parameters = parameters_of(fields, what)
    top = parameters.get("classification", 0)
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise BadRequest(f"parameter classification of {what} must be a number of classes, got {shown(top)}")
    return AskedOutput(flag_of(parameters, "binary_data", what, default=binary), top)

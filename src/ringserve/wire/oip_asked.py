"""What a REST request of the Open Inference Protocol asks for beside its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from ringserve.errors import BadRequest
from ringserve.wire.nested import shown

if TYPE_CHECKING:
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
    if value is None or value == []:
        return (), (AskedOutput(binary, 0),) * len(spec.outputs)
    if not isinstance(value, list):
        raise BadRequest(f"outputs must be a list, got {shown(value)}")
    known = [tensor.name for tensor in spec.outputs]
    names: list[str] = []
    asked: list[AskedOutput] = []
    for position, fields in enumerate(value):
        if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
            raise BadRequest(
                f'outputs[{position}] must be an object with a name, such as {{"name": "{known[0]}"}}'
            )
        name = fields["name"]
        if name not in known or name in names:
            twice = (
                "is asked for twice"
                if name in known
                else f"is none of model {spec.name}, which gives {known}"
            )
            raise BadRequest(f"output {name} {twice}")
        names.append(name)
        asked.append(_asked(fields, f"output {name}", binary=binary))
    return (() if names == known else tuple(names)), tuple(asked)


def _asked(fields: Fields, what: str, *, binary: bool) -> AskedOutput:
    parameters = parameters_of(fields, what)
    top = parameters.get("classification", 0)
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise BadRequest(f"parameter classification of {what} must be a number of classes, got {shown(top)}")
    return AskedOutput(flag_of(parameters, "binary_data", what, default=binary), top)

"""What a gateway asks of a worker beside requests: to load or unload a model, and what it counts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringserve.errors import ANSWERS, ModelFailed, ServeError
from ringserve.wire.frames import LinkError
from ringserve.wire.records import FIRST_ERROR

LOAD, UNLOAD, STATISTICS = "load", "unload", "statistics"
DONE = 0
NAME_MAX = 1024
"""Characters of a model's name."""

_Id = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_NUMBER_OF = {kind: number for number, kind in enumerate(ANSWERS)}
_FAILED = _NUMBER_OF[ModelFailed]


class Control(msgspec.Struct, frozen=True):
    """The body of a CONTROL frame.

    Attributes:
        id: The gateway's number for it, unique among those of the link that are not answered.
        action: `load`, `unload` or `statistics`.
        name: Of the model; empty for statistics, which are told of all.
    """

    id: _Id
    action: str
    name: Annotated[str, msgspec.Meta(max_length=NAME_MAX)]


class Controlled(msgspec.Struct, frozen=True):
    """The body of a CONTROLLED frame.

    Attributes:
        id: As it was asked.
        status: 0 where it is done; else 2 + n, error n of `errors.ANSWERS`.
        message: The error's sentence, or what was asked for.
    """

    id: _Id
    status: int
    message: str

    def error(self) -> ServeError | None:
        """The error that the status stands for; None where it is done.

        Raises:
            LinkError: There is no such error.
        """
        if self.status == DONE:
            return None
        number = self.status - FIRST_ERROR
        if not 0 <= number < len(ANSWERS):
            raise LinkError(f"an answer has the unknown status {self.status}")
        return ANSWERS[number](self.message)


def encode_control(asked: Control) -> bytes:
    """The body of a CONTROL frame."""
    return msgspec.json.encode(asked)


def decode_control(body: bytes) -> Control:
    """Read a CONTROL frame.

    Raises:
        LinkError: It is none.
    """
    try:
        return msgspec.json.decode(body, type=Control)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise LinkError(f"a control frame cannot be read: {cause}") from cause


def encode_controlled(asked_id: int, outcome: str | ServeError) -> bytes:
    """The body of a CONTROLLED frame: what was asked for, or why it failed."""
    if isinstance(outcome, ServeError):
        status = FIRST_ERROR + _NUMBER_OF.get(type(outcome), _FAILED)
        return msgspec.json.encode(Controlled(asked_id, status, outcome.message))
    return msgspec.json.encode(Controlled(asked_id, DONE, outcome))


def decode_controlled(body: bytes) -> Controlled:
    """Read a CONTROLLED frame.

    Raises:
        LinkError: It is none.
    """
    try:
        return msgspec.json.decode(body, type=Controlled)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise LinkError(f"an answer to a control frame cannot be read: {cause}") from cause

"""How a call of the client can fail.

::

    Exception
    └── ClientError
        ├── RequestRefused    any answer but 200; has .status
        │   ├── BadInput      400 413  this request will never be taken: mend it
        │   ├── Unauthorized  401 403  no API key, or none that is let in
        │   ├── NotFound      404      no such model, version or page
        │   ├── Overloaded    429      too much at a time; has .retry_after_s
        │   ├── ModelFailed   500      the model failed on this input, or has no answer in the form asked for
        │   └── Unavailable   503      nobody can take it now; has .retry_after_s
        ├── DeadlineExceeded  504, or the time was over here
        ├── ConnectionFailed  nobody listens, or the connection was lost before the whole answer had come
        └── BadAnswer         what came back is not what the protocol says

`Overloaded`, `Unavailable` and `ConnectionFailed` were tried again already where that was safe and there was
time. A wrong use of the client itself, such as a list where an array belongs, is a TypeError or a ValueError.
"""

from __future__ import annotations


class ClientError(Exception):
    """A call got no result; the text is one sentence."""


class RequestRefused(ClientError):
    """The server answered with something else than 200.

    Attributes:
        status: The HTTP status.
        retry_after_s: When to come again, in seconds, where the server says.
    """

    def __init__(self, sentence: str, status: int, retry_after_s: float | None = None) -> None:
        """Keep what the server said."""
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[RequestRefused], tuple[str, int, float | None]]:
        """Travel between processes whole."""
        return type(self), (str(self), self.status, self.retry_after_s)


class BadInput(RequestRefused):
    """The request does not fit the model, or is no request."""


class Unauthorized(RequestRefused):
    """The server asks for an API key, or for another one."""


class NotFound(RequestRefused):
    """There is no such model, version or page."""


class Overloaded(RequestRefused):
    """The server has too much to do."""


class ModelFailed(RequestRefused):
    """The model failed on this input."""


class Unavailable(RequestRefused):
    """The server, or the model, serves nobody now."""


class DeadlineExceeded(ClientError):
    """No answer came within the time there was."""


class ConnectionFailed(ClientError):
    """No connection came about, or it was lost before the whole answer had come.

    Attributes:
        sent: Whether the server may have had the request.
        answering: Whether a part of the answer had come.
    """

    def __init__(self, sentence: str, *, sent: bool = False, answering: bool = False) -> None:
        """Keep how far the call had come."""
        super().__init__(sentence)
        self.sent = sent
        self.answering = answering


class BadAnswer(ClientError):
    """What came back is no HTTP, or not what the protocol says."""


_BY_STATUS: dict[int, type[RequestRefused]] = {
    400: BadInput,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    413: BadInput,
    429: Overloaded,
    500: ModelFailed,
    503: Unavailable,
}
_TOO_LATE = 504


def error_of(status: int, sentence: str, retry_after_s: float | None) -> ClientError:
    """The error that an answer other than 200 stands for."""
    if status == _TOO_LATE:
        return DeadlineExceeded(sentence)
    return _BY_STATUS.get(status, RequestRefused)(sentence, status, retry_after_s)

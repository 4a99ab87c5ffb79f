"""Every error a caller can be answered with, once.

::

    Exception
    ├── UsageError                  the person at the command line can mend it; exit status 2
    └── ServeError                  an answer to one request
        ├── BadRequest        400   the request itself is wrong
        ├── PoisonSuspected   500   it was in flight on two workers that died
        ├── NotFound          404   no such route or model
        ├── MethodNotAllowed  405   the route exists, the method does not
        ├── TooLarge          413   body over the limit
        ├── QueueFull         429   no room to wait in                     another worker may be tried
        ├── WaitTooLong       429   the wait would exceed what is allowed  another worker may be tried
        ├── TimeTooShort      429   the request would time out waiting     another worker may be tried
        ├── ModelFailed       500   the model failed on this very input
        ├── NotFinite         500   NaN or infinity in an answer that JSON cannot carry
        ├── NoWorker          503   no worker can take it
        ├── NotReady          503   the model is still loading             another worker may be tried
        ├── ModelGone         503   the worker has unloaded this model     the request is routed anew
        ├── Draining          503   the server is going away               another worker may be tried
        ├── DeadlinePassed    504   too late
        ├── Unauthorized      401   no API key, or none that is known
        └── Forbidden         403   a link without what it must prove

`retry_elsewhere` says whether the gateway may ask another worker after a live worker refused with
it; `counts_against_worker` whether the worker's circuit breaker takes it for a failure. No answer of
a live worker does: whoever answers is alive.
"""

from __future__ import annotations

from typing import ClassVar, Self


class UsageError(Exception):
    """A wrong flag, file, port or value: one sentence that names the thing and the mend."""


class ServeError(Exception):
    """An answer other than 200. `message` is one sentence; the class carries the rest.

    Attributes:
        status: The HTTP status.
        grpc: The name of the gRPC status code.
        retry_elsewhere: Whether another worker may be asked after this one refused.
        counts_against_worker: Whether a breaker takes it for a failure of the worker.
        retry_after_s: When the caller may come again, in seconds; None where that is unknown.
    """

    status: ClassVar[int] = 500
    grpc: ClassVar[str] = "INTERNAL"
    retry_elsewhere: ClassVar[bool] = False
    counts_against_worker: ClassVar[bool] = False

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the sentence the caller will read."""
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s

    def without_frames(self) -> Self:
        """Drop the frames it came through, for who keeps it: they hold whatever was in their hands."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class BadRequest(ServeError):
    """The request is malformed or does not fit the model."""

    status = 400
    grpc = "INVALID_ARGUMENT"


class NotFound(ServeError):
    """No such route or model."""

    status = 404
    grpc = "NOT_FOUND"


class MethodNotAllowed(ServeError):
    """The route exists, but not for this method."""

    status = 405
    grpc = "UNIMPLEMENTED"


class TooLarge(ServeError):
    """The body is over the limit."""

    status = 413
    grpc = "RESOURCE_EXHAUSTED"


class QueueFull(ServeError):
    """No room to wait in."""

    status = 429
    grpc = "RESOURCE_EXHAUSTED"
    retry_elsewhere = True


class WaitTooLong(ServeError):
    """The wait to be expected is longer than allowed, whoever asks."""

    status = 429
    grpc = "RESOURCE_EXHAUSTED"
    retry_elsewhere = True


class TimeTooShort(ServeError):
    """The wait to be expected is longer than this request has time for."""

    status = 429
    grpc = "RESOURCE_EXHAUSTED"
    retry_elsewhere = True


class ModelFailed(ServeError):
    """The model failed on this input; another worker would fail on it too."""


class NotFinite(ServeError):
    """The answer holds NaN or infinity, which JSON cannot carry."""


class PoisonSuspected(ServeError):
    """The request was in flight on two workers that died; it goes to no third."""


class NoWorker(ServeError):
    """No worker can take the request now."""

    status = 503
    grpc = "UNAVAILABLE"


class NotReady(ServeError):
    """The model is still loading."""

    status = 503
    grpc = "UNAVAILABLE"
    retry_elsewhere = True


class ModelGone(ServeError):
    """The worker no longer has the model that a gateway asked for by number; it may have a newer version."""

    status = 503
    grpc = "UNAVAILABLE"
    retry_elsewhere = True


class Draining(ServeError):
    """The server is going away and takes nothing new."""

    status = 503
    grpc = "UNAVAILABLE"
    retry_elsewhere = True


class DeadlinePassed(ServeError):
    """The request's deadline passed before an answer."""

    status = 504
    grpc = "DEADLINE_EXCEEDED"


class Unauthorized(ServeError):
    """The request shows no API key, or one that is not let in."""

    status = 401
    grpc = "UNAUTHENTICATED"


class Forbidden(ServeError):
    """A link is asked for by somebody who does not show what it takes."""

    status = 403
    grpc = "PERMISSION_DENIED"


ANSWERS: tuple[type[ServeError], ...] = (
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    QueueFull,
    WaitTooLong,
    ModelFailed,
    NotFinite,
    PoisonSuspected,
    NoWorker,
    NotReady,
    Draining,
    DeadlinePassed,
    Unauthorized,
    Forbidden,
    TimeTooShort,
    ModelGone,
)
"""All leaves, in the order that gives each its number on the link: append, never reorder."""

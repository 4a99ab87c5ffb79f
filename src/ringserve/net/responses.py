"""Answers of the ordinary way."""

from __future__ import annotations

from starlette.responses import Response

from ringserve.errors import ServeError, TooLarge
from ringserve.net.compression import ACCEPTED, UnknownEncoding
from ringserve.net.large_bodies import BodiesFull
from ringserve.net.replies import error_body, headers_of


def json_response(status: int, body: bytes, error: ServeError | None = None) -> Response:
    """An answer in JSON; with the headers that belong to the error, where it is one."""
    headers = {name.decode(): value.decode() for name, value in headers_of(body, error)}
    if isinstance(error, TooLarge | BodiesFull):
        headers["connection"] = "close"
    if isinstance(error, UnknownEncoding):
        headers["accept-encoding"] = ACCEPTED
    return Response(body, status, headers)


def error_response(error: ServeError) -> Response:
    """The answer that this error is."""
    return json_response(error.status, error_body(error.message), error)

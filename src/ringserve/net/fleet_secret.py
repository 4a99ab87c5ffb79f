"""The secret that a gateway and a worker must share to be linked."""

from __future__ import annotations

import logging
import os
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.errors import Forbidden, UsageError
from ringserve.net.watched_files import WatchedFiles, read_small
from ringserve.wire.proof import (
    NONCE_BYTES,
    NONCE_HEADER,
    PROOF_HEADER,
    Role,
    is_nonce,
    is_proved,
    prove,
    secret_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringserve.settings import Settings

log = logging.getLogger(__name__)
VARIABLE = "RINGSERVE_SECRET_FROM_UP"
"""How `up` tells its children the secret that it made for them: other users can read command lines."""
FILE_BYTES_MAX = 1 << 16
COMPLAINT_INTERVAL_S = 60.0
_NONCE = NONCE_HEADER.lower().encode()


class FleetSecret:
    """The secret, read again when its file changes: links that stand stay, new ones prove the new one.

    Attributes:
        value: The secret now.
    """

    def __init__(self, value: bytes, path: str = "") -> None:
        """Keep it, and where it was read, if in a file."""
        self.value = value
        self._path = path
        self._watched = WatchedFiles([path] if path else [])
        self._complained_at = -COMPLAINT_INTERVAL_S
        self._refusals = 0

    def refresh(self) -> None:
        """Read the file again if it has changed; a broken one leaves the secret as it was."""
        if not self._watched.changed():
            return
        try:
            self.value = _read(self._path)
        except UsageError as error:
            log.warning("the fleet's secret stays as it was: %s", error)
        else:
            log.info("the fleet's secret was read again")

    def challenge(self, headers: Iterable[tuple[bytes, bytes]]) -> Challenge:
        """Begin a link for whoever asks for it with these headers.

        Raises:
            Forbidden: They hold no nonce.
        """
        nonce = dict(headers).get(_NONCE, b"").decode("latin-1")
        if not is_nonce(nonce):
            raise Forbidden(
                "a link to this worker needs the fleet's secret; start the gateway with --fleet-secret"
            )
        return Challenge(self, nonce, new_nonce())

    def refused(self, why: str) -> None:
        """Somebody failed to prove it: one line a minute says so, however many they are."""
        self._refusals += 1
        now = monotonic()
        if now - self._complained_at >= COMPLAINT_INTERVAL_S:
            log.warning("links refused without the fleet's secret: %d; the last: %s", self._refusals, why)
            self._complained_at, self._refusals = now, 0


class Challenge:
    """What the other end of one new link must still prove."""

    __slots__ = ("_gateway_nonce", "_value", "_worker_nonce", "secret")

    def __init__(self, secret: FleetSecret, gateway_nonce: str, worker_nonce: str) -> None:
        """Bind the two nonces of this link."""
        self.secret = secret
        self._value = secret.value
        self._gateway_nonce = gateway_nonce
        self._worker_nonce = worker_nonce

    def answer(self) -> tuple[tuple[str, str], ...]:
        """The headers with which the worker proves itself and challenges the gateway."""
        proof = prove(self._value, Role.WORKER, self._gateway_nonce, self._worker_nonce)
        return (NONCE_HEADER, self._worker_nonce), (PROOF_HEADER, proof)

    def is_met_by(self, proof: str) -> bool:
        """Whether the gateway's proof is one."""
        return is_proved(self._value, Role.GATEWAY, self._gateway_nonce, self._worker_nonce, proof)


def new_nonce() -> str:
    """A number that was never used before."""
    return os.urandom(NONCE_BYTES).hex()


def fleet_secret(settings: Settings) -> FleetSecret | None:
    """The secret that the settings name, or the one that `up` handed down.

    Raises:
        UsageError: The file cannot be read, or holds too little.
    """
    path = settings.fleet_secret
    if path:
        secret = FleetSecret(b"", path)
        secret.value = _read(path)
        return secret
    handed_down = os.environ.get(VARIABLE, "")
    return FleetSecret(handed_down.encode()) if handed_down else None


def _read(path: str) -> bytes:
    try:
        return secret_of(read_small(path, "--fleet-secret", FILE_BYTES_MAX))
    except ValueError as error:
        raise UsageError(f"--fleet-secret: {path}: {error}") from error

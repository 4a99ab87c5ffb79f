"""How the two ends of a link prove that they know the fleet's secret, which never travels.

Each end chooses a nonce, and each shows an HMAC-SHA256 over its own role and both nonces::

    gateway  Upgrade, X-Ringserve-Nonce: A
    worker   101, X-Ringserve-Nonce: B, X-Ringserve-Proof: HMAC(secret, "worker", A, B)
    gateway  HELLO with HMAC(secret, "gateway", A, B)
    worker   HELLO, and from then on everything

A recorded proof is worth nothing, since the other end's nonce is another one each time; nor is one end's
own proof, sent back to it, since the role differs. Whoever talks to a worker sees one proof and could try
secrets against it at leisure: the secret must be random, not a word.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum

NONCE_HEADER = "X-Ringserve-Nonce"
PROOF_HEADER = "X-Ringserve-Proof"
NONCE_BYTES = 16
SECRET_BYTES_MIN = 16
_CONTEXT = b"ringserve link 1"
_HEX = frozenset("0123456789abcdef")


class Role(Enum):
    """Which end of a link a proof is of."""

    GATEWAY = b"gateway"
    WORKER = b"worker"


def prove(secret: bytes, role: Role, gateway_nonce: str, worker_nonce: str) -> str:
    """The proof of one end, as hexadecimal digits. Both nonces must have passed `is_nonce`."""
    said = b"\n".join([_CONTEXT, role.value, gateway_nonce.encode(), worker_nonce.encode()])
    return hmac.new(secret, said, hashlib.sha256).hexdigest()


def is_proved(secret: bytes, role: Role, gateway_nonce: str, worker_nonce: str, proof: str) -> bool:
    """Whether this is the proof of that end; takes the same time for every wrong one."""
    expected = prove(secret, role, gateway_nonce, worker_nonce)
    return hmac.compare_digest(expected.encode(), proof.encode("utf-8", "replace"))


def is_nonce(text: str) -> bool:
    """Whether this is the hexadecimal form of a nonce."""
    return len(text) == 2 * NONCE_BYTES and _HEX.issuperset(text)


def secret_of(content: bytes) -> bytes:
    """The secret in a file's content, without the white space around it.

    Raises:
        ValueError: It is too short.
    """
    secret = content.strip()
    if len(secret) < SECRET_BYTES_MIN:
        rule = f"a secret has at least {SECRET_BYTES_MIN} bytes; `openssl rand -hex 32` makes one"
        raise ValueError(f"it holds {len(secret)} bytes: {rule}")
    return secret

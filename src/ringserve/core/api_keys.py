"""API keys: the file that lists them by their hash, and who a presented key belongs to.

One key a line, a label and the SHA-256 of the key; what follows a `#` is a comment::

    shop        sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    shop        sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752   # its next one
    nightly-job sha256:fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13

A label may have several keys, so that one can be replaced without a gap. The hash has no salt and is quick:
keys are long and random, so there is nothing to guess at, and a request must not wait for a slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

HASH = "sha256"
KEYS_MAX = 10_000
LABEL_MAX = 64
_DIGEST = re.compile(rf"{HASH}:([0-9a-fA-F]{{64}})")
_LABEL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LABEL_MAX - 1}}}")
_BEARER = b"bearer "


class KeyTable:
    """Labels by the digest of their keys."""

    __slots__ = ("_labels",)

    def __init__(self, labels: Mapping[bytes, str]) -> None:
        """Take labels by SHA-256 digest."""
        self._labels = {digest: (digest, label) for digest, label in labels.items()}

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Each label once, in the order of the file."""
        return tuple(dict.fromkeys(label for _digest, label in self._labels.values()))

    def label_of(self, key: bytes) -> str | None:
        """Whose key this is; None where it is nobody's.

        The time this takes tells nothing of the keys in the table: what is looked up is the digest of what
        was presented, which nobody can steer towards another, and the match is made in constant time.
        """
        digest = hashlib.sha256(key).digest()
        known, label = self._labels.get(digest, (bytes(len(digest)), ""))
        return label if hmac.compare_digest(known, digest) and label else None


def parse_keys(text: str) -> KeyTable:
    """Read a file of keys. One without any is a table that lets nobody in.

    Raises:
        ValueError: A line is no key, or two labels have the same; the sentence names the line, no value.
    """
    labels: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        label, digest = _entry(words, number)
        if labels.get(digest, label) != label:
            raise ValueError(
                f"line {number}: {label} has the same key as {labels[digest]}; give each its own"
            )
        labels[digest] = label
        if len(labels) > KEYS_MAX:
            raise ValueError(f"line {number}: there are more than {KEYS_MAX} keys")
    return KeyTable(labels)


def presented_key(authorization: bytes | None, x_api_key: bytes | None) -> bytes | None:
    """The key that a request shows in `Authorization: Bearer KEY` or `X-API-Key: KEY`; the first counts."""
    if authorization is not None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return x_api_key


def line_of(label: str, key: str) -> str:
    """The line of the file that lets this key in under this label.

    Raises:
        ValueError: The label is none.
    """
    return f"{_checked(label)} {HASH}:{hashlib.sha256(key.encode()).hexdigest()}"


def _entry(words: list[str], number: int) -> tuple[str, bytes]:
    found = _DIGEST.fullmatch(words[-1])
    if len(words) != 2 or found is None:  # noqa: PLR2004 - label and digest
        wanted = f"LABEL {HASH}: and 64 hexadecimal digits; `ringserve key LABEL` writes such a line"
        raise ValueError(f"line {number}: expected {wanted}")
    try:
        return _checked(words[0]), bytes.fromhex(found[1])
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _checked(label: str) -> str:
    if _LABEL.fullmatch(label) is None:
        rule = f"letters, digits, `_`, `.` and `-`, at most {LABEL_MAX}, a letter or digit first"
        raise ValueError(f"{label[:LABEL_MAX]!r} is no label: {rule}")
    return label

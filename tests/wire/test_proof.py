import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.wire.proof import NONCE_BYTES, Role, is_nonce, is_proved, prove, secret_of

NONCES = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES).map(bytes.hex)
SECRETS = st.binary(min_size=16, max_size=80)


@given(SECRETS, st.sampled_from(Role), NONCES, NONCES)
def test_a_proof_proves(secret: bytes, role: Role, ours: str, theirs: str) -> None:
    assert is_proved(secret, role, ours, theirs, prove(secret, role, ours, theirs))


@given(SECRETS, SECRETS, NONCES, NONCES, NONCES)
def test_a_proof_is_worth_nothing_anywhere_else(
    secret: bytes, other: bytes, a: str, b: str, fresh: str
) -> None:
    """Not under another secret, not in another link, not with the ends exchanged, not sent back."""
    proof = prove(secret, Role.WORKER, a, b)
    assert is_proved(other, Role.WORKER, a, b, proof) == (other == secret)
    assert is_proved(secret, Role.WORKER, fresh, b, proof) == (fresh == a)
    assert is_proved(secret, Role.WORKER, a, fresh, proof) == (fresh == b)
    assert is_proved(secret, Role.WORKER, b, a, proof) == (a == b)
    assert not is_proved(secret, Role.GATEWAY, a, b, proof)


@given(st.text(max_size=80))
def test_any_text_is_compared(proof: str) -> None:
    assert not is_proved(b"x" * 16, Role.WORKER, "0" * 32, "1" * 32, proof)


def test_the_bytes_of_a_proof_stay_as_they_are() -> None:
    """Workers and gateways of different versions must understand each other."""
    proof = prove(b"sixteen bytes at", Role.GATEWAY, "00" * 16, "ff" * 16)
    assert proof == "96f75ea689d2a9a9557fb3f72030f2cf7a93983ccc8d76a682d8a7e0b493b876"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("0f" * 16, True), ("0F" * 16, False), ("0" * 31, False), ("0" * 33, False), ("", False)],
)
def test_a_nonce_is_32_hexadecimal_digits(text: str, is_one: bool) -> None:
    assert is_nonce(text) == is_one


def test_a_secret_is_read_without_the_white_space_around_it() -> None:
    assert secret_of(b"  0123456789abcdef\n") == b"0123456789abcdef"


@pytest.mark.parametrize("content", [b"", b"  \n", b"0123456789abcde\n", b"short" + b" " * 20])
def test_a_short_secret_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        secret_of(content)

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.errors import BadRequest, TooLarge
from ringserve.net.compression import UnknownEncoding, pack, unpack

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def undone(body: bytes, encoding: str, bytes_max: int = 1 << 20) -> bytes:
    return asyncio.run(unpack(body, encoding, bytes_max))


@given(st.binary(max_size=20_000), st.sampled_from(["gzip", "deflate"]), st.sampled_from(["", ", *", ", br"]))
def test_what_is_packed_here_is_unpacked_by_others_and_back(body: bytes, name: str, more: str) -> None:
    packed, used = asyncio.run(pack(body, name + more))
    assert used == name
    assert (gzip.decompress if name == "gzip" else zlib.decompress)(packed) == body
    assert undone(PACK[name](body), name.upper()) == body


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", ""),
        ("br, zstd", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("br, deflate, gzip", "deflate"),
        ("deflate;q=0.5, gzip;q=0.8", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=much", ""),
    ],
)
def test_the_caller_chooses_the_form(accepted: str, chosen: str) -> None:
    assert asyncio.run(pack(b"{}", accepted))[1] == chosen


def test_a_plain_body_is_left_as_it_is() -> None:
    assert undone(b"{}", "") == undone(b"{}", "identity") == b"{}"


@pytest.mark.parametrize("encoding", ["br", "gzip, deflate", "zstd", "gzip;q=1"])
def test_another_form_is_refused_with_those_that_are_known(encoding: str) -> None:
    with pytest.raises(UnknownEncoding, match="send it as gzip, deflate or plain"):
        undone(b"{}", encoding)


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_body_that_unpacks_to_the_bound_is_read_and_one_byte_more_is_not(name: str) -> None:
    for size in (1000, 3 << 20):
        assert len(undone(PACK[name](bytes(size)), name, size)) == size
        with pytest.raises(TooLarge, match=re.escape(f"more than {size - 1} bytes when it is unpacked")):
            undone(PACK[name](bytes(size)), name, size - 1)


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_damaged_or_cut_body_or_one_with_more_behind_it_is_refused(name: str) -> None:
    whole = PACK[name](b"some text that is worth packing" * 10)
    for body in (b"", b"{}", whole[:-1], whole[:5], whole + b"x", b"x" + whole):
        with pytest.raises(BadRequest, match=f"not {name}"):
            undone(body, name)

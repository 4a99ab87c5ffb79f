"""Any bytes are fields or refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.engine.protobuf import read_fields, write_bytes, write_number


def test_each_wire_type_is_read() -> None:
    message = b"\x08\x96\x01" + b"\x12\x02hi" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    fields = list(read_fields(memoryview(message)))
    assert [(field.tag, field.number, bytes(field.data)) for field in fields] == [
        (1, 150, b""),
        (2, 0, b"hi"),
        (3, 0, bytes(8)),
        (4, 0, bytes(4)),
    ]
    assert fields[1].text == "hi"


@pytest.mark.parametrize("broken", [b"\x12\x05hi", b"\x08", b"\x80" * 20, b"\x0b", b"\x00\x00", b"\x19\x00"])
def test_what_is_cut_or_no_message_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"wire type|Protocol Buffers"):
        list(read_fields(memoryview(broken)))


@given(st.binary(max_size=200))
def test_any_bytes_give_fields_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert sum(len(field.data) for field in read_fields(memoryview(data))) <= len(data)


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**64 - 1) | st.binary(max_size=300))))
def test_fields_that_were_written_are_read_and_found_as_they_stand(
    fields: list[tuple[int, int | bytes]],
) -> None:
    written = [
        write_bytes(tag, value) if isinstance(value, bytes) else write_number(tag, value)
        for tag, value in fields
    ]
    read = list(read_fields(memoryview(b"".join(written))))
    assert [bytes(field.raw) for field in read] == written
    assert [
        (field.tag, bytes(field.data) if isinstance(value, bytes) else field.number)
        for field, (_, value) in zip(read, fields, strict=True)
    ] == fields

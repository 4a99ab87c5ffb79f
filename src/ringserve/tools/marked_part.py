"""A part of a document that is generated: what stands between two marks."""

from __future__ import annotations


def replace_part(document: str, begin: str, part: str, end: str) -> str:
    """The document with another part between its marks.

    Raises:
        ValueError: The marks are not there, one of each and in order.
    """
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"the marks are missing: {begin.strip()} and {end.strip()}")
    return before + begin + part + end + after

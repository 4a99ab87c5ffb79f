import pytest

from ringserve.tools.marked_part import replace_part


def test_what_stands_between_the_marks_is_replaced() -> None:
    assert replace_part("a<x>old</x>b", "<x>", "new", "</x>") == "a<x>new</x>b"


@pytest.mark.parametrize("document", ["", "<x>", "</x>", "</x><x>"])
def test_a_document_without_the_marks_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="marks are missing"):
        replace_part(document, "<x>", "new", "</x>")

import re

from tests.tidy.tree import shown, text_files

# Each pattern is written so that it does not match itself.
LEFT_FOR_LATER = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
REGISTRY = re.compile(
    r"--(extra-)?index[-]url[ =]\S+|[p]ypi\.org|[p]ythonhosted|deb[i]an\.org|[n]pmjs|[r]egistry\.[a-z]+\."
)
MACHINE_PATH = re.compile(r"(?<![\w.])/([w]ork|[h]ome|[r]oot|[U]sers)/")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown(path)}:{number}: {line.strip()[:100]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later() -> None:
    assert lines_with(LEFT_FOR_LATER) == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_with(REGISTRY) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_with(MACHINE_PATH) == []

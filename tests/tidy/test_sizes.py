import ast

from tests.tidy.tree import PACKAGE, package_files, parsed, python_files, shown

FILE_LINES_MAX = 400
FILE_LINES_WITHOUT_REASON = 300
FUNCTION_LINES_MAX = 70
INIT_LINES_MAX = 10


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in python_files()}
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_a_module_over_300_lines_says_why_in_its_docstring() -> None:
    """The words "300 lines" must stand in it."""
    long = [p for p in package_files() if len(p.read_text().splitlines()) > FILE_LINES_WITHOUT_REASON]
    assert [shown(path) for path in long if "300 lines" not in (ast.get_docstring(parsed(path)) or "")] == []


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{shown(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_an_init_file_is_a_docstring_of_at_most_10_lines_and_no_code() -> None:
    """The front door alone has names of its own: those of the client."""
    wrong = []
    for path in package_files():
        if path.name == "__init__.py" and path.parent != PACKAGE:
            only_docstring = len(parsed(path).body) == 1 and ast.get_docstring(parsed(path))
            if not only_docstring or len(path.read_text().splitlines()) > INIT_LINES_MAX:
                wrong.append(shown(path))
    assert wrong == []


def test_every_folder_of_the_package_has_an_init_file() -> None:
    folders = {path.parent for path in package_files()}
    assert [shown(folder) for folder in folders if not (folder / "__init__.py").exists()] == []

"""ONNX Runtime's error texts, cut to the one sentence that a caller can use.

The raw texts carry codes, source files of the build machine, C++ signatures and the server's paths::

    [ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node. Name:'r'
    Status Message: /onnxruntime_src/…/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(…)
    input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped …
"""

from __future__ import annotations

import re

LENGTH_MAX = 300

_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_LOADING = re.compile(r"^Load model(?: from)? .*? failed:\s*", re.DOTALL)
_NODE = re.compile(
    r"^(?:Non-zero status code returned|Exception caught) while running (\w+) node\. "
    r"Name:'(.*?)' Status Message: ",
    re.DOTALL,
)
_CUDA = re.compile(r"\bCU[A-Za-z]+ (?:failure|error)[ :].*?(?=\s*;|\s*$)", re.DOTALL)
_SOURCE = re.compile(r"(?:/\S*?)?[\w./-]+\.(?:cc|cpp|cu|cuh|h|hpp):\d+:? ")
_SIGNATURE = re.compile(
    r"^.*?\b[\w~]+(?:::[\w~<>]+)+\(.*?\)(?: const)?(?:::<lambda\(.*?\)>)?(?: \[with .*?\])? (?=\S)"
)
_BARE_FUNCTION = re.compile(r"^[A-Z]\w+ (?=[A-Z])")
_CONDITION = re.compile(r"^.{0,200}? was false\.\s*(?=\S)")
_MENDS = (
    (
        re.compile(r"locale with name: ?([\w.@-]+)"),
        "install the locale {} on this machine (Debian: the package locales-all)",
    ),
    (
        re.compile(r"\b([\w.]+):\w+\(-?\d+\) is not a registered"),
        "name the library with the operators of {} by --custom-ops",
    ),
    (
        re.compile(r"Unsupported model IR version|is under development|No Op registered for"),
        "install a newer onnxruntime, or export it for an older opset",
    ),
)
_PATH = re.compile(r"(?<![\w.])/(?:[^\s/'\":,]+/)+([^\s/'\":,]+)")


def shorten(error: BaseException | str) -> str:
    """Give the reason in one sentence without codes, source lines and folders.

    Where the error comes from a node, the sentence starts with the node: `Gather 'g': indices …`.
    """
    text = _LOADING.sub("", _CODE.sub("", str(error).strip()))
    cuda = _CUDA.search(text)
    if cuda is not None:
        return _finish(cuda.group())
    node = _NODE.match(text)
    text = text[node.end() :] if node else text
    where = "" if node is None else f"{node[1]} {node[2]!r}: " if node[2] else f"{node[1]}: "
    return _finish(where + _without_source(text))


def mend(error: BaseException | str) -> str:
    """What a person can do about a model that cannot be loaded for this reason."""
    for reason, what in _MENDS:
        found = reason.search(str(error))
        if found is not None:
            return what.format(*found.groups())
    return "export it again"


def _without_source(text: str) -> str:
    """Drop the source's place, and the function and condition that follow it; there may be several."""
    matches = list(_SOURCE.finditer(text))
    if not matches:
        return text
    before, after = text[: matches[0].start()], text[matches[-1].end() :]
    plain = _BARE_FUNCTION.sub("", _SIGNATURE.sub("", after))
    return before + _CONDITION.sub("", plain)


def _finish(text: str) -> str:
    """Join the lines, keep only the last name of each path, and bound the length."""
    joined = _PATH.sub(r"\1", " ".join(text.split()))
    if not joined:
        return "no reason given"
    return joined if len(joined) <= LENGTH_MAX else joined[: LENGTH_MAX - 1] + "…"

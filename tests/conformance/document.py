"""The examples of docs/clients.md. Only the standard library is imported: the KServe check reads it too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
_BLOCK = re.compile(r"^```(sh|python)( kserve)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)


class Example(NamedTuple):
    """One block of code; `kind` is `sh`, `python` or `kserve`."""

    line: int
    kind: str
    code: str

    def at(self, http: str, grpc: str) -> str:
        """The code for servers that listen elsewhere than in the document."""
        return self.code.replace("127.0.0.1:8000", http).replace("127.0.0.1:9000", grpc)

    @property
    def printed(self) -> list[str]:
        """What it says that it prints."""
        return _PRINTED.findall(self.code)


def examples(*kinds: str) -> list[Example]:
    """The examples of these kinds, in their order."""
    text = DOCUMENT.read_text()
    found = [
        Example(
            text.count("\n", 0, block.start()) + 1,
            "kserve" if block[2] else block[1],
            block[3],
        )
        for block in _BLOCK.finditer(text)
    ]
    return [one for one in found if one.kind in kinds]

"""Reads JSON that a server sent, trusting nothing about its shape."""

from __future__ import annotations

import json

from ringserve.tools.http_caller import Reply

SENTENCE_CHARS_MAX = 160


def object_in(reply: Reply) -> dict[str, object] | None:
    """Give the JSON object an answer consists of; None when it is anything else."""
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def objects_at(value: dict[str, object], key: str) -> list[dict[str, object]]:
    """Give the objects in the list at `key`; what else is there is left out."""
    found = value.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text_at(value: dict[str, object], key: str) -> str:
    """Give the text at `key`, or an empty one."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def number_at(value: dict[str, object], key: str) -> float:
    """Give the number at `key`, or 0."""
    found = value.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else 0


def sentence_of(reply: Reply) -> str:
    """Give the first sentence of an error answer, shortened; of a foreign answer, how it begins."""
    answer = object_in(reply)
    text = text_at(answer, "error") if answer is not None else reply.body[:400].decode("utf-8", "replace")
    line = " ".join(text.split())
    sentence, stop, _ = line.partition(". ")
    sentence += stop.strip()
    if len(sentence) > SENTENCE_CHARS_MAX:
        sentence = sentence[: SENTENCE_CHARS_MAX - 1] + "…"
    return "".join(char if char.isprintable() else "�" for char in sentence)

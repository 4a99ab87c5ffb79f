"""Giving memory back to the machine when a model has gone."""

from __future__ import annotations

import ctypes
import gc


def give_back_memory() -> None:
    """Free what nobody holds any more, and hand free pages back. Takes milliseconds: call it in a thread.

    The allocator of glibc keeps what was freed for whoever asks next: of a model of small tensors most would
    stay. Others have no such function, and hand pages back by themselves.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""The Python client: numpy in, numpy out, over the Open Inference Protocol's REST with binary tensors.

`Client` (threads) and `AsyncClient` (asyncio) are thin shells that move bytes; what is asked, what an answer
means and whether to try again is decided here without I/O. Nothing of the server belongs here.
"""

"""ONNX Runtime: choose a provider, load and check a model, warm it up, run a batch.

Belongs here: all that knows of ONNX Runtime, of a model file's inside, or of the machine's cores.
Does not: queues, caches, sockets. ONNX Runtime's own exceptions end here.
"""

"""ONNX Runtime: open a model file on a provider, prove that it batches, warm it up, run batches.

Here belongs whatever touches onnxruntime, the model's file or the machine's cores. What may share a
run and when is decided in `core`; sockets and threads belong to the rooms above.
"""

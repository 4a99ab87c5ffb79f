"""Models and data that ship with ringserve.

Belongs here: bundled `.onnx` files, their held-out data, and a small module that gives the paths.
Does not: training (see `training/` in the source tree) or anything that runs a model.
"""

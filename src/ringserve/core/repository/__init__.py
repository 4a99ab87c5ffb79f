"""Which models a worker serves: what a folder holds, what its owner wants of it, and what to do next.

Belongs here: the layout of a folder, the options of a model, the steps from what is loaded to what is wanted.
Does not: reading files, loading models.
"""

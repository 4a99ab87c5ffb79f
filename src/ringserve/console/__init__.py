"""The command line's inner parts: where a setting comes from, how help and mistakes are worded.

Belongs here: resolution of flags, environment and TOML; addresses as typed; the look of `--help` and errors.
Does not: the commands themselves (`cli`), or anything that serves.
"""

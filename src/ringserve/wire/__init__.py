"""Bytes to messages and back, without I/O.

Belongs here: parsers and writers of the JSON bodies and of the link's frames, and the link's state machine.
Does not: sockets, event loops, decisions about what to do with a message.
Any bytes give messages or the protocol's error, never another exception.
"""

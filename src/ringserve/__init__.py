"""ringserve: serves ONNX models from many workers behind one gateway.

Rooms, from the ground up: errors, settings, core (pure logic), wire (bytes to messages), engine (ONNX
Runtime), observe (metrics and logs), net (sockets), worker and gateway (assembly), fleet (processes),
tools, cli. Imports point down only. No code belongs here.
"""

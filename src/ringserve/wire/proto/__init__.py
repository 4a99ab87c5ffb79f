"""The messages and services of gRPC: .proto files, and what protoc makes of them (`make proto`).

Only the parts that are served are here, with the numbers that the protocol gives them. `messages` makes
classes of the descriptors; no generated code is kept.
"""

"""OpenFMB's EVSE and ESS profiles: own definitions, the public model's field numbers.

`*_pb2.py` and `*_pb2.pyi` are generated, in the repository's root, by::

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. agent/utility/bus/openfmb/*.proto

A test generates them again and compares; another holds bytes that the public definitions encode.
"""

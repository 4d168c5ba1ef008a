"""The OCPP server towards charging stations, in the role of a local controller.

`worker` is the process; `fleet` knows every station and carries orders to them; `connection` is
one WebSocket; `v16` and `v2` turn messages into what `station` knows.
"""

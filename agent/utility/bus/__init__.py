"""Telemetry on a message bus (NATS JetStream, MQTT 5) and the parameters of many gateways.

Read `worker.py` first: snapshots → `sampler` → `outbox` (disk) → `jetstream` or `mqtt`. The bus
never orders anything; what `fleet` brings can only narrow the local envelope.
"""

"""The local page and the telemetry store."""

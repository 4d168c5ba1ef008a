"""Recorded events: what happened on the bus around a disturbance, as COMTRADE files."""

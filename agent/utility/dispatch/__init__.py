"""Signed dispatch: orders of the balancing authority as JWS (RFC 7515), each carried out once.

`strict` reads JSON, `token` verifies, `ledger` remembers on disk what was used, `desk` turns a
token into requests, `http` and the OCPP client bring tokens in. `sign` is the other side, for
commissioning and tests.
"""

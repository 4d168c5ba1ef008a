"""This gateway as an OCPP charging station of a CSMS: read `client` first."""

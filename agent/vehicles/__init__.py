"""Real chargers and vehicles: OCPP stations, ISO 15118, Modbus, and their simulations."""

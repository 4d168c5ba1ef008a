"""Inverters, meters and power-quality analysers over Modbus.

::

    registers    registers ↔ numbers                                   pure
    dialogue     what is asked of a device, as generators              pure
    description  a device as data: mappings/devices/*.toml             pure
    readings     the values of a described device, in few requests     pure
    sunspec/     models 1 and 701–715 discovered from the device       pure
    inverter     orders, read-back, watchdog of a SunSpec inverter     pure
    port         one TCP, TLS or serial connection (pymodbus)          asyncio
    device       one task a device: connect, poll, back off            asyncio
    worker       wiring to the control                                 asyncio
"""

"""COMTRADE (IEC 60255-24:2013, IEEE C37.111): records of disturbances, written and read."""

from agent.comtrade.read import read_comtrade
from agent.comtrade.record import AnalogChannel, Record
from agent.comtrade.write import configuration, data

__all__ = ["AnalogChannel", "Record", "configuration", "data", "read_comtrade"]

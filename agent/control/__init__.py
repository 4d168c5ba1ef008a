"""The decision: measurements and wishes in, setpoints out; pure, and total for any input."""

from agent.control.interface import Inputs, Now, Outputs, Record
from agent.control.memory import dump_state, load_state
from agent.control.parameters import Parameters, parameters_from
from agent.control.state import State, initial_state
from agent.control.step import step

__all__ = [
    "Inputs",
    "Now",
    "Outputs",
    "Parameters",
    "Record",
    "State",
    "dump_state",
    "initial_state",
    "load_state",
    "parameters_from",
    "step",
]

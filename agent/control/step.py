"""One step of the control: read it as the block diagram of `docs/control.md`.

::

    measurements ─ select ─ ride-through ─────────────────────┐ permits
          └─ droop (narrowed, flattened) ─ response time ─┐   │
    requests ─ admit ─ standing ─ remote ramp ────────────┼─ aim ─ share ─ plan ─ guard ─ issue
    statuses ─ hear ─ account ─ limits (battery, driver) ─┘                               │
                       └─ delays ─ stability limit          outcomes, alarms ─ conclude ──┘
"""

from __future__ import annotations

from agent.control.act import act
from agent.control.conclude import conclude
from agent.control.decide import decide
from agent.control.interface import Inputs, Now, Outputs
from agent.control.sense import sense
from agent.control.state import State, read_clock, recalled


def step(state: State, inputs: Inputs, now: Now) -> tuple[State, Outputs]:
    """Return the next state and what to do; the same arguments always give the same answer.

    Never raises, whatever values `inputs` and `now` hold.
    """
    clock = read_clock(state, now)
    state = recalled(state, clock.now_s)
    sensed = sense(state, inputs, clock)
    decision = decide(state, sensed, clock)
    action = act(state, sensed, decision, clock)
    return conclude(state, sensed, decision, action, clock)

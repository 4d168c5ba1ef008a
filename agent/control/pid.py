"""PID on delivered against ordered power at the point of connection, with anti-windup.

The orders alone leave losses and stations that deliver a little less than they were told. The
controller adds a bounded trim to the fleet's target while the fleet is at work, and none else.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.control.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Pid:
    """State of the controller; powers in W.

    Attributes:
        integral_w: Integral part. `error_w`: last error. `trim_w`: what it adds to the target.
    """

    integral_w: float = 0.0
    error_w: float = 0.0
    trim_w: float = 0.0


def trim(state: Pid, error_w: float, bound_w: float, dt_s: float, p: Parameters) -> Pid:
    """Return the controller after `dt_s` with `error_w` = ordered − delivered.

    Anti-windup by conditional integration: while the trim is at its bound, the integral only
    moves if that takes the trim back inside.

    Args:
        state: As it was.
        error_w: Ordered less delivered power, W.
        bound_w: Largest trim to either side, W.
        dt_s: Time since the last step, s.
        p: Gains `pid_kp` (1), `pid_ki` (1/s), `pid_kd` (s).
    """
    rate_w = (error_w - state.error_w) / dt_s if dt_s > 0.0 else 0.0
    integral_w = state.integral_w + p.pid_ki * error_w * dt_s
    wanted_w = p.pid_kp * error_w + integral_w + p.pid_kd * rate_w
    trim_w = min(max(wanted_w, -bound_w), bound_w)
    if trim_w != wanted_w and (wanted_w - trim_w) * error_w > 0.0:
        integral_w = state.integral_w
    return Pid(min(max(integral_w, -bound_w), bound_w), error_w, trim_w)

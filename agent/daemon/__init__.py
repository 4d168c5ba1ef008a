"""The composition root: control loop, workers, audit. No network socket in this process."""

from agent.daemon.wiring import control_parameters, run_daemon
from agent.daemon.workers import WorkerSpec, plan_workers

__all__ = ["WorkerSpec", "control_parameters", "plan_workers", "run_daemon"]

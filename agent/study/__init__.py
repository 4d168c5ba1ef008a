"""What a fleet does for the stability of a grid: studies before, scores after.

Read in this order: `grid` (frequency response of an area), `population` (who takes part),
`fleet` (their power in time), `simulate` (both in a loop), `answers` and `margin` (what comes out).
`profile`, `scores` judge a recorded event. `agent.cli.study` is the command.

Droop, limits, battery rules and dispatch are the agent's own functions (`agent.control`); nothing
of them is written again here. `docs/study.md` lists them.
"""

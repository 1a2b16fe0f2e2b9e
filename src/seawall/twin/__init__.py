"""The simulated world: a compiled per-request kernel between the ticks of the control loops."""

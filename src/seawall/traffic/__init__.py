"""From a description or a recording of traffic to arrivals, for simulated and for real requests alike."""

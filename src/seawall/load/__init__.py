"""Real requests on a schedule of their own: every latency counts from the time at which its request was due."""

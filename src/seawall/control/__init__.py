"""The decisions, as pure functions: no clock, no input or output, no knowledge of a world."""

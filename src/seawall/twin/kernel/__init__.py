"""The compiled kernel: every request, connection, worker and CPU period between two ticks of control.

State lives in a few arrays of records (`layout.py`); each mechanism is a module of small compiled functions;
`loop.py` runs the events in the order of their times.
"""

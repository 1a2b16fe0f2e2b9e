"""What goes wrong in a sync without stopping the controller."""

from __future__ import annotations


class MetricError(Exception):
    """A metric from which nothing can be computed; the text is the controller's."""

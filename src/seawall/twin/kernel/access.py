"""Rows of the kernel's arrays by address (compiled/rows.py)."""

from __future__ import annotations

from seawall.compiled.rows import accessors
from seawall.record.histogram import BUCKETS
from seawall.twin.kernel.layout import STATE_ROW, TABLES

_accessor = accessors(STATE_ROW, TABLES)

user_at = _accessor("users")
req_at = _accessor("reqs")
pod_at = _accessor("pods")
worker_at = _accessor("workers", "width")
job_at = _accessor("jobs", "width", 1)
idle_at = _accessor("idle", "width")
kept_at = _accessor("kept", "width")
node_at = _accessor("nodes")
node_pod_at = _accessor("node_pods", "n_pods")
heap_at = _accessor("heap")
shelf_at = _accessor("shelves")
tree_at = _accessor("tree")
list_at = _accessor("lists")
endpoint_at = _accessor("endpoints")
sessions_at = _accessor("sessions")
level_at = _accessor("levels")
class_at = _accessor("classes")
dist_at = _accessor("dists")
loop_at = _accessor("loop")
think_at = _accessor("think")
arrival_at = _accessor("arrivals")
bin_at = _accessor("bins")
hist_at = _accessor("hist", BUCKETS)
event_at = _accessor("events")
broken_at = _accessor("broken")
scratch_at = _accessor("scratch")
params_at = _accessor("params")

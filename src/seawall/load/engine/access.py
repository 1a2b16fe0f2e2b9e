"""Rows of the generator's arrays by address (compiled/rows.py)."""

from __future__ import annotations

from seawall.compiled.rows import accessors
from seawall.load.engine.layout import STATE_ROW, TABLES
from seawall.record.histogram import BUCKETS

_accessor = accessors(STATE_ROW, TABLES)

params_at = _accessor("params")
user_at = _accessor("users")
req_at = _accessor("reqs")
conn_at = _accessor("conns")
response_at = _accessor("responses")
heap_at = _accessor("heap")
arrival_at = _accessor("arrivals")
class_at = _accessor("classes")
target_at = _accessor("targets")
byte_out = _accessor("out")
address_at = _accessor("addresses")
bin_at = _accessor("bins")
latency_at = _accessor("latency", BUCKETS)
lateness_at = _accessor("lateness", BUCKETS)
first_byte_at = _accessor("first_byte", BUCKETS)
clock_at = _accessor("clock")
ready_at = _accessor("ready")
interest_at = _accessor("interest")
message_at = _accessor("message")
option_at = _accessor("option")
loop_at = _accessor("loop")
think_at = _accessor("think")

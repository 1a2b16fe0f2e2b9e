"""Rows of the kernel's arrays by address: a function of the kernel is passed one pointer, not thirty arrays.

Numba hands arrays to a function by copying their descriptors and counting references, which cost more than
the work itself (measured: 0.1 million requests/s and 98 s of compilation with a tuple of 31 arrays, 5.6 million
and 31 s so). A record is a bare pointer; an accessor computes the address of a row and takes it for a record
of its type. Nothing is checked here: the world keeps the arrays alive and large enough.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from seawall.record.histogram import BUCKETS
from seawall.twin.kernel.layout import STATE_ROW, TABLES

_STATE = nb.from_dtype(STATE_ROW)
_OFFSETS = {name: field[1] for name, field in (STATE_ROW.fields or {}).items()}
_I64 = ir.IntType(64)
_BYTE = ir.IntType(8)


def _field(builder: Any, state: Any, name: str) -> Any:
    """The value of an integer field of the state."""
    offset = ir.Constant(_I64, _OFFSETS[name])
    place = builder.gep(builder.bitcast(state, _BYTE.as_pointer()), [offset])
    return builder.load(builder.bitcast(place, _I64.as_pointer()))


def _accessor(table: str, factor: str | int = 0, extra: int = 0) -> Any:
    """An intrinsic (state, i) -> row i of a table, or with a `factor` (state, i, j) -> row i * (factor + extra) + j.

    The factor is a number or the name of a field of the state.
    """
    dtype = TABLES[table]
    record = nb.from_dtype(dtype)

    def address(context: Any, builder: Any, args: Any) -> Any:
        index = args[1]
        if len(args) == 3:
            by = ir.Constant(_I64, factor) if isinstance(factor, int) else _field(builder, args[0], factor)
            by = builder.add(by, ir.Constant(_I64, extra))
            index = builder.add(builder.mul(index, by), args[2])
        offset = builder.mul(index, ir.Constant(_I64, dtype.itemsize))
        place = builder.add(_field(builder, args[0], f"a_{table}"), offset)
        return builder.inttoptr(place, context.get_value_type(record))

    if factor == 0:

        @intrinsic
        def row(typing_context, s, i):
            return record(_STATE, types.int64), lambda ctx, b, sig, args: address(ctx, b, args)

        return row

    @intrinsic
    def row_of_two(typing_context, s, i, j):
        return record(_STATE, types.int64, types.int64), lambda ctx, b, sig, args: address(ctx, b, args)

    return row_of_two


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

"""Rows of arrays by address: a compiled function is passed one pointer, not thirty arrays.

Numba hands arrays to a function by copying their descriptors and counting references, which cost more than
the work itself (measured: 0.1 million requests/s and 98 s of compilation with a tuple of 31 arrays, 5.6 million
and 31 s so). A record is a bare pointer; an accessor computes the address of a row and takes it for a record
of its type. Nothing is checked here: `Tables` keeps the arrays alive, and their user makes them large enough.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
from collections.abc import Callable, Mapping
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

_I64 = ir.IntType(64)
_BYTE = ir.IntType(8)


def state_fields(tables: Mapping[str, np.dtype[Any]]) -> list[tuple[str, str]]:
    """The fields that a state's record needs for its tables: the address `a_<name>` and the length `n_<name>`."""
    return [field for name in tables for field in ((f"a_{name}", "i8"), (f"n_{name}", "i8"))]


def accessors(state: np.dtype[Any], tables: Mapping[str, np.dtype[Any]]) -> Callable[..., Any]:
    """A maker of accessors for the tables of a state.

    `make(table)` is an intrinsic (state, i) -> row i of a table; `make(table, factor, extra)` one of
    (state, i, j) -> row i * (factor + extra) + j. The factor is a number or the name of a field of the state.
    """
    state_type = nb.from_dtype(state)
    offsets = {name: field[1] for name, field in (state.fields or {}).items()}

    def value(builder: Any, row: Any, name: str) -> Any:
        """The value of an integer field of the state."""
        offset = ir.Constant(_I64, offsets[name])
        place = builder.gep(builder.bitcast(row, _BYTE.as_pointer()), [offset])
        return builder.load(builder.bitcast(place, _I64.as_pointer()))

    def make(table: str, factor: str | int = 0, extra: int = 0) -> Any:
        dtype = tables[table]
        record = nb.from_dtype(dtype)

        def address(context: Any, builder: Any, args: Any) -> Any:
            index = args[1]
            if len(args) == 3:
                by = ir.Constant(_I64, factor) if isinstance(factor, int) else value(builder, args[0], factor)
                by = builder.add(by, ir.Constant(_I64, extra))
                index = builder.add(builder.mul(index, by), args[2])
            offset = builder.mul(index, ir.Constant(_I64, dtype.itemsize))
            place = builder.add(value(builder, args[0], f"a_{table}"), offset)
            return builder.inttoptr(place, context.get_value_type(record))

        if factor == 0:

            @intrinsic
            def row(typing_context, s, i):
                return record(state_type, types.int64), lambda ctx, b, sig, args: address(ctx, b, args)

            return row

        @intrinsic
        def row_of_two(typing_context, s, i, j):
            return record(state_type, types.int64, types.int64), lambda ctx, b, sig, args: address(
                ctx, b, args
            )

        return row_of_two

    return make


class Tables:
    """The arrays of one run by name, and the record with their addresses that compiled functions are given."""

    def __init__(
        self, state: np.dtype[Any], tables: Mapping[str, np.dtype[Any]], sizes: Mapping[str, int]
    ) -> None:
        self.table: NDArray[Any] = np.zeros(1, state)
        self.arrays: dict[str, NDArray[Any]] = {}
        for name, dtype in tables.items():
            self.set(name, np.zeros(sizes[name], dtype))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    @property
    def row(self) -> Any:
        """The record that every compiled function is given."""
        return self.table[0]

    def set(self, name: str, array: NDArray[Any]) -> None:
        """Put an array in the place of another; its address is known from now on."""
        self.arrays[name] = array
        self.table[0][f"a_{name}"] = array.ctypes.data
        self.table[0][f"n_{name}"] = len(array)

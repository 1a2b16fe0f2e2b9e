"""The record of one run in one world: what was run, what happened each second, what events there were.

A record is a folder: `description.json`, `totals.json`, `series.parquet` (one row a bin), `events.jsonl`
(one JSON object a line), `histograms.parquet` (bin, bucket, count), `histograms-<name>.parquet` for further
ones, `extra.parquet` where there are further arrays, and `wallclock.json` where the caller has facts of the
wall clock. All but the last are the same byte for byte for the same content, so that two runs can be compared
with `cmp`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.record.histogram import BUCKETS
from seawall.record.vocabulary import COLUMNS, HISTOGRAMS, KINDS, REQUEST_TOTALS, REQUIRED, TOTALS

FORMAT = 1
_FILES = (
    "description.json",
    "totals.json",
    "series.parquet",
    "events.jsonl",
    "histograms.parquet",
    *(f"histograms-{name}.parquet" for name in HISTOGRAMS),
    "extra.parquet",
    "wallclock.json",
)
_LAYOUT = b"seawall.buckets"

Wallclock = dict[str, Any]
"""Facts of the wall clock as plain JSON data (keys of a wave's: docs/reference/record.md)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `t` seconds to `object` (`pod/web-3`, `node/large-1`).

    `kind` is one of `vocabulary.KINDS`; `data` is plain JSON data.
    """

    t: float
    kind: str
    object: str = ""
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The event as plain JSON data."""
        return {
            "t": self.t,
            "kind": self.kind,
            "object": self.object,
            "message": self.message,
            "data": self.data,
        }


@dataclass(frozen=True)
class Record:
    """What one run left behind. Raises ValueError where its parts do not fit together.

    `description` is plain JSON data (keys: docs/reference/record.md). `series` holds columns of
    `vocabulary.COLUMNS`, all of shape (bins,). `latency` has shape (bins, BUCKETS), uint32: answered requests
    by the bin of their intended time; `latency_sum_s` (bins,) their exact sums in seconds. `totals` and each
    entry of `per_class` hold whole numbers by the names in `vocabulary.TOTALS`. `extra` holds further
    one-dimensional arrays, such as the peak memory of each pod; `histograms` further histograms by the names in
    `vocabulary.HISTOGRAMS`, of the shape of `latency`.
    """

    description: dict[str, Any]
    series: dict[str, NDArray[Any]]
    events: tuple[Event, ...]
    latency: NDArray[np.uint32]
    latency_sum_s: NDArray[np.float64]
    totals: dict[str, int]
    per_class: dict[str, dict[str, int]] = field(default_factory=dict)
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)
    histograms: dict[str, NDArray[np.uint32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_columns(self.series)
        _require(self.latency.shape == (self.bins, BUCKETS), "latency must have shape (bins, BUCKETS)")
        _require(self.latency_sum_s.shape == (self.bins,), "latency_sum_s must have shape (bins,)")
        _require_events(self.events)
        for name, totals in {"totals": self.totals, **self.per_class}.items():
            _require_known("total", totals, TOTALS)
            missing = [key for key in REQUEST_TOTALS if key not in totals]
            _require(not missing, f"{name} lacks {', '.join(missing)}")
        for name, values in self.extra.items():
            _require(values.ndim == 1, f"extra {name!r} must have one dimension")
        _require_known("histogram", self.histograms, HISTOGRAMS)
        for name, counts in self.histograms.items():
            _require(counts.shape == self.latency.shape, f"{name} must have shape (bins, BUCKETS)")

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.series["t"])

    @property
    def bin_seconds(self) -> float:
        """Length of a bin in seconds."""
        return float(self.description.get("bin_seconds", 1.0))

    @property
    def name(self) -> str:
        """The variant's name; the fleet's where there are no variants."""
        return str(self.description.get("variant") or self.description.get("fleet") or "run")

    @property
    def wave(self) -> tuple[float, float] | None:
        """Start and end of the wave in seconds, None where there is none."""
        wave = self.description.get("wave")
        return None if wave is None else (float(wave[0]), float(wave[1]))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _require_known(what: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
    unknown = [name for name in names if name not in known]
    _require(not unknown, f"unknown {what} {', '.join(map(repr, unknown))}: the vocabulary does not have it")


def _require_columns(series: Mapping[str, NDArray[Any]]) -> None:
    _require_known("column", series, COLUMNS)
    missing = [name for name in REQUIRED if name not in series]
    _require(not missing, f"the series lacks {', '.join(missing)}")
    shape = (len(series["t"]),)
    wrong = [name for name, values in series.items() if values.shape != shape]
    _require(not wrong, f"not of shape {shape}, as t is: {', '.join(wrong)}")


def _require_events(events: tuple[Event, ...]) -> None:
    _require_known("kind of event", {event.kind for event in events}, KINDS)
    times = [event.t for event in events]
    _require(times == sorted(times), "events must be in the order of time (S2): sort them stably by t")


# ---------------------------------------------------------------------------------------------------- writing


def write(record: Record, folder: str | Path, *, wallclock: Mapping[str, Any] | None = None) -> Path:
    """Write a record as a folder, whole or not at all, and return its path.

    An older record of that name is replaced; a folder that is something else is left alone (InputError).
    `wallclock` holds what depends on the machine and the hour, and goes to a file of its own.
    """
    target = Path(folder).absolute()
    _refuse_other_folders(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot write a record here: {error.strerror}", file=target) from error
    try:
        _write_files(record, fresh, wallclock)
        fresh.chmod(0o755)
        _put_in_place(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return target


def _refuse_other_folders(target: Path) -> None:
    """Raise InputError unless `target` is free, empty, or a record that may be replaced."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError("this is a file, and a record is a folder; name another one", file=target)
    found = sorted(path.name for path in target.iterdir())
    foreign = [name for name in found if name not in _FILES]
    if foreign or (found and "description.json" not in found):
        named = foreign[0] if foreign else found[0]
        raise InputError(
            f"this folder holds something other than a record ({named}), which is not overwritten; "
            "name another folder or empty this one",
            file=target,
        )


def _put_in_place(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`; an older record goes aside first and comes back should that fail."""
    if not target.exists():
        fresh.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    target.rename(aside)
    try:
        fresh.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _write_files(record: Record, folder: Path, wallclock: Mapping[str, Any] | None) -> None:
    _write_json(folder / "description.json", record.description)
    _write_json(folder / "totals.json", {"totals": record.totals, "per_class": record.per_class})
    lines = [json.dumps(event.as_json(), ensure_ascii=False, allow_nan=False) for event in record.events]
    (folder / "events.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    _write_series(folder / "series.parquet", record)
    _write_histograms(folder / "histograms.parquet", record.latency)
    for name, counts in record.histograms.items():
        _write_histograms(folder / f"histograms-{name}.parquet", counts)
    if record.extra:
        _write_extra(folder / "extra.parquet", record.extra)
    if wallclock is not None:
        _write_json(folder / "wallclock.json", dict(wallclock))


def _write_json(path: Path, data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def _write_series(path: Path, record: Record) -> None:
    import pyarrow as pa

    columns = {
        name: record.series[name].astype(np.int64 if column.whole else np.float64)
        for name, column in COLUMNS.items()
        if name in record.series
    }
    columns["latency_sum_s"] = record.latency_sum_s.astype(np.float64)
    _write_parquet(path, pa.table(columns))


def _write_histograms(path: Path, counts: NDArray[np.uint32]) -> None:
    import pyarrow as pa

    bins, buckets = np.nonzero(counts)
    columns = {
        "bin": bins.astype(np.int32),
        "bucket": buckets.astype(np.int32),
        "count": counts[bins, buckets].astype(np.uint32),
    }
    table = pa.table(columns).replace_schema_metadata({_LAYOUT: str(BUCKETS).encode()})
    _write_parquet(path, table)


def _write_extra(path: Path, extra: Mapping[str, NDArray[Any]]) -> None:
    import pyarrow as pa

    values = pa.array([array.astype(np.float64) for array in extra.values()], type=pa.list_(pa.float64()))
    _write_parquet(path, pa.table({"name": list(extra), "values": values}))


def _write_parquet(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd", row_group_size=1 << 20)


# ---------------------------------------------------------------------------------------------------- reading


def read(folder: str | Path) -> Record:
    """Read a record back; InputError names the file that is missing or damaged."""
    source = Path(folder)
    if not (source / "description.json").is_file():
        raise InputError("no record here: description.json is missing", file=source)
    description = _read_description(source / "description.json")
    series = _read_series(source / "series.parquet")
    latency_sum_s = series.pop("latency_sum_s", np.zeros(0))
    totals = _read_object(source / "totals.json")
    try:
        return Record(
            description=description,
            series=series,
            events=_read_events(source / "events.jsonl"),
            latency=_read_histograms(source / "histograms.parquet", len(series["t"])),
            latency_sum_s=latency_sum_s,
            totals=totals["totals"],
            per_class=totals["per_class"],
            extra=_read_extra(source / "extra.parquet"),
            histograms=_read_further_histograms(source, len(series["t"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        version = description.get("version", "?")
        raise InputError(f"damaged record, written by Seawall {version}: {error}", file=source) from error


def read_wallclock(folder: str | Path) -> Wallclock | None:
    """The facts of the wall clock beside a record, None where it has none; InputError where they are damaged."""
    path = Path(folder) / "wallclock.json"
    return _read_object(path) if path.exists() else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("damaged record: this file is missing", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("damaged record: this file is not UTF-8 text", file=path) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error


def _parse_object(text: str, path: Path, line: int | None = None) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"damaged record: not JSON ({error.msg})", file=path, line=line or error.lineno
        ) from error
    except RecursionError as error:
        raise InputError("damaged record: nested too deeply", file=path, line=line) from error
    if not isinstance(data, dict):
        raise InputError("damaged record: a JSON object should stand here", file=path, line=line)
    return data


def _read_object(path: Path) -> dict[str, Any]:
    return _parse_object(_read_text(path), path)


def _read_description(path: Path) -> dict[str, Any]:
    description = _read_object(path)
    if description.get("format") != FORMAT:
        raise InputError(
            f"a record of format {description.get('format')!r}; this Seawall reads format {FORMAT}", file=path
        )
    return description


def _read_events(path: Path) -> tuple[Event, ...]:
    events = []
    # Not splitlines(): a message may hold characters that Python takes for ends of lines.
    lines = _read_text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        data = _parse_object(line, path, number)
        try:
            events.append(Event(**data))
        except TypeError as error:
            raise InputError(
                f"damaged record: not an event ({', '.join(data)})", file=path, line=number
            ) from error
    return tuple(events)


def _read_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, partitioning=None)
    except FileNotFoundError as error:
        raise InputError("damaged record: this file is missing", file=path) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError("damaged record: not a Parquet file, or cut short", file=path) from error


def _columns(path: Path, convert: Callable[[Any], Any]) -> dict[str, Any]:
    table = _read_parquet(path)
    return {name: convert(table.column(name)) for name in table.column_names}


def _read_series(path: Path) -> dict[str, NDArray[Any]]:
    columns = _columns(path, lambda column: column.to_numpy())
    if "t" not in columns:
        raise InputError("damaged record: the series has no column t", file=path)
    return columns


def _read_histograms(path: Path, bins: int) -> NDArray[np.uint32]:
    """The counts as an array of shape (bins, BUCKETS); rows of the same bin and bucket are added."""
    table = _read_parquet(path)
    layout = (table.schema.metadata or {}).get(_LAYOUT, b"")
    if layout != str(BUCKETS).encode():
        raise InputError(
            f"histograms of another layout ({layout.decode()!r} buckets, here {BUCKETS})", file=path
        )
    latency = np.zeros((bins, BUCKETS), np.uint32)
    where = (table.column("bin").to_numpy(), table.column("bucket").to_numpy())
    outside = [w.min() < 0 or w.max() >= n for w, n in zip(where, latency.shape, strict=True) if len(w)]
    if any(outside):
        raise InputError("damaged record: a histogram for a bin that the series lacks", file=path)
    np.add.at(latency, where, table.column("count").to_numpy())
    return latency


def _read_further_histograms(folder: Path, bins: int) -> dict[str, NDArray[np.uint32]]:
    """The histograms that this record has beside that of the latencies, by name."""
    paths = {name: folder / f"histograms-{name}.parquet" for name in HISTOGRAMS}
    return {name: _read_histograms(path, bins) for name, path in paths.items() if path.exists()}


def _read_extra(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    columns = _columns(path, lambda column: column.to_pylist())
    return {
        name: np.array(values, np.float64)
        for name, values in zip(columns["name"], columns["values"], strict=True)
    }

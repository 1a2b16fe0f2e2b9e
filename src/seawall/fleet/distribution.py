"""How a time or a size is distributed: constant, exponential, lognormal, or by measured quantiles."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from seawall.fleet.units import parse_number

CONSTANT, EXPONENTIAL, LOGNORMAL, QUANTILES, UNIFORM = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """A non-negative random quantity in its base unit (seconds or bytes).

    `kind` is one of the constants of this module. `a`, `b` are: constant (value, 0); exponential (mean, 0);
    lognormal (mu, sigma of the logarithm); uniform (low, high). For quantiles, `shares` and `values` are the
    points of the quantile function, shares from 0 to 1, joined by straight lines.
    """

    kind: int
    a: float
    b: float = 0.0
    shares: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The expected value, in the base unit."""
        if self.kind == LOGNORMAL:
            return math.exp(self.a + self.b * self.b / 2.0)
        if self.kind == UNIFORM:
            return (self.a + self.b) / 2.0
        if self.kind == QUANTILES:
            steps = zip(self.shares, self.shares[1:], self.values, self.values[1:], strict=False)
            return sum((s1 - s0) * (v0 + v1) / 2.0 for s0, s1, v0, v1 in steps)
        return self.a

    def quantile(self, share: float) -> float:
        """The value that the draw `share`, 0 < share < 1, stands for; the exponential counts it from above."""
        if self.kind == EXPONENTIAL:
            return -self.a * math.log(share)
        if self.kind == LOGNORMAL:
            return math.exp(self.a + self.b * NormalDist().inv_cdf(share))
        if self.kind == UNIFORM:
            return self.a + (self.b - self.a) * share
        if self.kind == QUANTILES:
            at = min(max(bisect_right(self.shares, share), 1), len(self.shares) - 1)
            low, high = self.shares[at - 1], self.shares[at]
            part = (share - low) / (high - low) if high > low else 0.0
            return self.values[at - 1] + part * (self.values[at] - self.values[at - 1])
        return self.a

    def scaled(self, factor: float) -> Distribution:
        """The same distribution with every value multiplied by `factor` (> 0)."""
        if self.kind == LOGNORMAL:
            return Distribution(LOGNORMAL, self.a + math.log(factor), self.b)
        return Distribution(
            self.kind, self.a * factor, self.b * factor, self.shares, tuple(v * factor for v in self.values)
        )


def constant(value: float) -> Distribution:
    """Always `value`."""
    return Distribution(CONSTANT, value)


def distribution_as_data(d: Distribution) -> Any:
    """A distribution as plain data, for the record: kind and parameters in the base unit."""
    kind = ("constant", "exponential", "lognormal", "quantiles", "uniform")[d.kind]
    if kind == "constant":
        return d.a
    if kind == "quantiles":
        return {kind: {f"p{100 * s:g}": v for s, v in zip(d.shares, d.values, strict=True)}}
    if kind == "lognormal":
        return {kind: {"mu": d.a, "sigma": d.b}}
    return {kind: d.a if kind == "exponential" else [d.a, d.b]}


def parse_distribution(value: Any, parse_value: Any) -> Distribution:
    """Read `20ms`, `{exponential: 20ms}`, `{lognormal: {median: 20ms, p95: 60ms}}`,
    `{uniform: [10ms, 30ms]}` or `{quantiles: {p0: 1ms, p50: 20ms, p100: 2s}}`; `parse_value` reads one value.
    """
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, dict):
        return constant(_not_negative(parse_value(value)))
    if len(value) != 1:
        raise ValueError(
            "a distribution has one kind: constant, exponential, lognormal, uniform or quantiles"
        )
    kind, body = next(iter(value.items()))
    if kind == "constant":
        return constant(_not_negative(parse_value(body)))
    if kind == "exponential":
        mean = parse_value(body["mean"] if isinstance(body, dict) and set(body) == {"mean"} else body)
        return Distribution(EXPONENTIAL, _not_negative(mean))
    if kind == "uniform" and isinstance(body, list) and len(body) == 2:
        low, high = parse_value(body[0]), parse_value(body[1])
        if not 0 <= low <= high:
            raise ValueError(f"uniform: {body} must be [low, high], both at least 0")
        return Distribution(UNIFORM, low, high)
    if kind == "lognormal" and isinstance(body, dict):
        return _lognormal(body, parse_value)
    if kind == "quantiles" and isinstance(body, dict):
        return _quantiles(body, parse_value)
    raise ValueError(
        f"{str(value)[:60]} is not a distribution; write a value, or {{exponential: 20ms}}, "
        "{lognormal: {median: 20ms, p95: 60ms}}, {uniform: [10ms, 30ms]} "
        "or {quantiles: {p50: 20ms, p100: 2s}}"
    )


def _not_negative(value: float) -> float:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{value:g} is impossible; write at least 0")
    return float(value)


def _lognormal(body: dict[str, Any], parse_value: Any) -> Distribution:
    z = {"p90": 1.2815515655446004, "p95": 1.6448536269514722, "p99": 2.3263478740408408}
    if set(body) == {"mean", "cv"}:
        mean, cv = parse_value(body["mean"]), parse_number(body["cv"])
        if not (mean > 0 and 0 <= cv <= 1000):
            raise ValueError("lognormal: the mean must be above 0, and cv from 0 to 1000")
        sigma = math.sqrt(math.log1p(cv * cv))
        return Distribution(LOGNORMAL, math.log(mean) - sigma * sigma / 2.0, sigma)
    upper = set(z) & set(body)
    if len(body) != 2 or "median" not in body or not upper:
        raise ValueError("lognormal takes {median: , p95: } (or p90, p99), or {mean: , cv: }")
    name = upper.pop()
    low, high = parse_value(body["median"]), parse_value(body[name])
    if not 0 < low <= high:
        raise ValueError(f"lognormal: the median {low:g} must be above 0 and at most {name} {high:g}")
    return Distribution(LOGNORMAL, math.log(low), math.log(high / low) / z[name])


def _quantiles(body: dict[str, Any], parse_value: Any) -> Distribution:
    points = []
    for name, value in body.items():
        if not (isinstance(name, str) and re.fullmatch(r"p\d{1,3}(\.\d{1,6})?", name)):
            raise ValueError(f"quantiles are named p0, p50, p99.9 ...; {name} is not")
        points.append((float(name[1:]) / 100.0, _not_negative(parse_value(value))))
    points.sort()
    shares, values = [p[0] for p in points], [p[1] for p in points]
    if not points or shares[-1] > 1 or values != sorted(values):
        raise ValueError("quantiles must lie between p0 and p100 and must not fall")
    if shares[-1] < 1:
        raise ValueError("quantiles need p100, the largest value: a tail has to end somewhere")
    if shares[0] > 0:
        shares, values = [0.0, *shares], [0.0, *values]
    return Distribution(QUANTILES, 0.0, 0.0, tuple(shares), tuple(values))

"""What comes and what is promised: users, arrivals, recorded traffic, clients that fail, objectives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seawall.fleet.parts import Part, Time
from seawall.fleet.units import Count, Number, Seconds, Share, Switch

SESSION_KEY = r"^(auto|user|address|(cookie|header):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"
"""How `session` is written."""


class Retries(Part):
    """What a client does after a failure."""

    max: Count = Field(0, ge=0, le=100)
    """Attempts after the first; 0: none."""
    backoff: Literal["immediate", "exponential"] = "exponential"
    """Whether the wait doubles from attempt to attempt, or there is none."""
    base: Seconds = 0.1
    """The wait before the second attempt."""
    cap: Seconds = 20.0
    """The longest wait."""
    jitter: Switch = True
    """Full jitter: the wait is drawn evenly between 0 and the back-off."""
    budget: Share | None = None
    """Retries as a share of requests, over all clients; none: no bound."""


class Clients(Part):
    """What a client is and does when it fails."""

    timeout: Seconds = Field(30.0, gt=0)
    """How long a client waits for its answer."""
    retries: Retries = Retries()
    """What it does then."""
    keep_alive: Switch = True
    """Whether a client keeps its connection for its next request."""
    slow_readers: Share = 0.0
    """Share of requests whose client reads the answer slowly; without a proxy the worker waits for it."""
    slow_read_time: Seconds = 2.0
    """How long such a client reads."""
    round_trip: Seconds = 0.0005
    """Network round trip between the balancer (or client) and a pod."""


class StartBurst(Part):
    """The calls that an app makes as it opens: one after another, `gap` apart or as soon as answered."""

    calls: Count = Field(1, ge=1)
    """How many."""
    gap: Seconds = 0.0
    """Time from one to the next."""


class Users(Part):
    """Closed loop: connected users, each of whom waits for an answer before asking again."""

    count: str
    """How many over time, for example `0 -> 1000 in 60s, hold 5m`."""
    pace: Seconds | None = None
    """One request in so much time: intended(k+1) = max(intended(k) + pace, done(k))."""
    think: Time | None = None
    """Time from an answer to the next request: intended(k+1) = done(k) + think."""
    jitter: Share = 0.1
    """The pace varies evenly by so much to each side."""
    start_burst: StartBurst = StartBurst()
    """The calls that an app makes as it opens."""
    give_up_after: Count = Field(0, ge=0)
    """A user leaves after so many failures in a row; 0: never."""


class ArrivalRate(Part):
    """Open loop: requests that come whatever happens to the earlier ones."""

    rate: str
    """How many over time, for example `50/s -> 2000/s in 30s, hold 2m`."""
    process: Literal["poisson", "even"] = "poisson"
    """Whether they come at random or evenly spaced."""
    visits: Count = Field(1, ge=1)
    """Requests that each arrival makes, one after another."""


class Recorded(Part):
    """Open loop from a recording: a log of requests, or a CSV of requests per second."""

    file: str
    """The recording, relative to the fleet file; of a log also a folder, or a pattern such as `logs/*.gz`."""
    kind: Literal["auto", "accesslog", "csv"] = "auto"
    """What it is; auto looks at its first lines."""
    format: str = Field("auto", min_length=1)
    """A log's format: `combined`, `nginx`, `haproxy`, `alb` ..., or Apache's LogFormat or nginx's log_format."""
    session: str = Field("auto", pattern=SESSION_KEY)
    """What tells visitors apart: `user`, `address`, `cookie:NAME`, `header:NAME`; auto: user, or address and agent."""
    time_column: str | None = Field(None, min_length=1)
    """Name of a CSV's column of times."""
    rate_column: str | None = Field(None, min_length=1)
    """Name of a CSV's column of requests per second."""
    speed: Number = Field(1.0, gt=0)
    """Time runs so many times faster."""
    multiply: Number = Field(1.0, gt=0)
    """So many times the recorded requests."""
    start: Seconds = Field(0.0, alias="from")
    """Seconds after the first record at which to start."""
    duration: Seconds | None = Field(None, alias="for")
    """How much of it to take; default: to its end."""
    stamp: Literal["auto", "arrival", "end"] = "auto"
    """What a log's times are: Apache writes the arrival, nginx the end; auto: by the format, `combined` is Apache's."""


class Traffic(Part):
    """What comes: users, arrivals, a recording; and what clients do."""

    clients: Clients = Clients()
    """What every client does."""
    users: Users | None = None
    """Closed loop."""
    arrivals: ArrivalRate | None = None
    """Open loop."""
    recorded: Recorded | None = None
    """Open loop from a recording."""


class Objectives(Part):
    """What is promised. A fleet stands when all are met."""

    served: Share = 0.999
    """Share of requests answered, over the whole run and over its worst 60 s."""
    latency: dict[str, Seconds] = Field(default_factory=dict)
    """Bounds by percentile over answered requests, for example `p99: 800ms`."""

"""Runs Locust for a wave: its users come when the plan says, and each of its requests is told in a line.

This file is run as a program by the Python that has Locust, in a process of its own: it imports nothing of
Seawall, and Seawall does not import Locust. The plan is a JSON file that the variable SEAWALL_JOURNEY names:

    changes   [[seconds, number of a user, 1 joins or 0 leaves], ...] in the order of time
    traffic_s, patience_s, seed, hosts (that may be asked), lines (the file descriptor to write to)

On standard input come `start <monotonic seconds of time 0>` and `stop`; its end stops too. What is written, with tabs
in between, times in seconds after time 0:

    ready                                       before `start`
    S  time                                     a request begins
    X  time                                     ... and was not sent after all (comes before the next L)
    R  time  begun  ms  kind  name              a request that began then has ended so; begun: whether an S told of it
    L  time  seconds                            how late the loop was just then
    U  time  users                              so many users are connected
    E  count  text                              errors in the journey's own code: how many, the first of them
    N  text                                     to be borne in mind
    F  text                                     this cannot go on
    end  time  CPU seconds since time 0
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import re
import ssl
import sys
import time
import zlib
from collections.abc import Iterator
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

LAG_SECONDS = 0.01
"""How often the loop is asked how late it is."""
_FLUSH_SECONDS = 0.05
_MOST_AT_ONCE = 20
"""So many users are born before others have a turn."""
_LONGEST = 200
"""Characters of a name or a message."""

_CONNECT = frozenset(("ConnectTimeout", "ConnectTimeoutError"))
_READ = frozenset(("ReadTimeout", "ReadTimeoutError"))
_NOT_CONNECTED = frozenset(("NameResolutionError", "gaierror"))
_CUT_SHORT = frozenset(
    ("IncompleteRead", "InvalidChunkLength", "ChunkedEncodingError", "ContentDecodingError", "DecodeError",
     "HTTPParseError", "HTTPException", "InvalidHeader", "SSLError", "TooManyRedirects", "RetriesExceeded",
     "ProtocolError")
)  # fmt: skip
_BY_STATUS = frozenset(("HTTPError", "BadStatusCode", "LocustBadStatusCode"))
"""Names of exceptions of requests, urllib3, http.client and geventhttpclient, which need not all be there."""


# ------------------------------------------------------------------------------------------------- outcomes


def kind_of(status: int, exception: BaseException | None) -> str:
    """How a request ended, as a wave's record calls it; `status` is 0 where no answer came.

    5xx is a failure whatever the journey says of it, 4xx an answer unless the journey says otherwise.
    """
    if exception is not None:
        kind = _kind_of_exception(exception, answered=status > 0)
        if kind is not None:
            return kind
    if status >= 500:
        return "failed_5xx"
    if exception is not None and not _names(exception) & _BY_STATUS:
        return "failed_body" if status else "failed_protocol"
    return "answered_4xx" if status >= 400 else "answered"


def _kind_of_exception(exception: BaseException, *, answered: bool) -> str | None:
    """What went wrong on the way; None where nothing did, and the answer itself is to be judged."""
    chain = list(_chain(exception))
    for error in chain:
        names = _names(error)
        if names & _CONNECT:
            return "timed_out_connect"
        if names & _READ:
            return "timed_out_read"
        if isinstance(error, TimeoutError) or "Timeout" in names:
            return "timed_out_connect" if _while_connecting(error) else "timed_out_read"
        if isinstance(error, ssl.SSLError):
            return "failed_protocol"
        if isinstance(error, ConnectionRefusedError) or names & _NOT_CONNECTED:
            return "refused"
        if isinstance(error, ConnectionError):
            return "failed_reset"
        if "HTTPConnectionClosed" in names:
            return "failed_protocol" if answered else "failed_reset"
        if isinstance(error, OSError) and error.errno is not None:
            return "refused" if _while_connecting(error) else "failed_reset"
    cut = any(_names(error) & _CUT_SHORT or isinstance(error, zlib.error) for error in chain)
    return "failed_protocol" if cut else None


def _chain(exception: BaseException | None) -> Iterator[BaseException]:
    """An exception, then those that it came from, wherever these libraries keep them."""
    seen: set[int] = set()
    todo = [exception]
    while todo:
        error = todo.pop(0)
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), getattr(error, "original", None), *error.args]
        todo += [*inner, error.__cause__, error.__context__]


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(cls.__name__ for cls in type(error).__mro__)


def _while_connecting(error: BaseException) -> bool:
    """Whether an exception was raised in a function that connects."""
    trace = error.__traceback__
    while trace is not None:
        frame: FrameType = trace.tb_frame
        if "connect" in frame.f_code.co_name or "handshake" in frame.f_code.co_name:
            return True
        trace = trace.tb_next
    return False


# --------------------------------------------------------------------------------------------------- telling


class Teller:
    """Writes lines to a pipe, many at once. `origin` is time 0 on the monotonic clock."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: list[str] = []
        self.origin = time.monotonic()
        self.started = False
        self.looks = 0
        """How often the loop was looked at."""

    def now(self) -> float:
        """Seconds after time 0."""
        return time.monotonic() - self.origin

    def tell(self, *words: str | float) -> None:
        """Put down one line."""
        self._lines.append("\t".join(f"{w:.6f}" if isinstance(w, float) else w for w in words))

    def flush(self) -> None:
        """Write what has been put down."""
        if not self._lines:
            return
        data = memoryview(("\n".join(self._lines) + "\n").encode(errors="replace"))
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # Nobody reads any more: whoever started this has gone.
            os._exit(1)

    def fatal(self, text: str) -> None:
        """Say why this cannot go on."""
        self.tell("F", one_line(text))
        self.flush()


def one_line(text: str) -> str:
    """A text that fits into a line, and is not endless."""
    return " ".join(text.split())[:_LONGEST]


class Requests:
    """Follows Locust's requests from their begin to their end."""

    def __init__(self, teller: Teller, hosts: list[str], current: Any, gave_up: type[BaseException]) -> None:
        self._teller = teller
        self._hosts = frozenset(hosts)
        self._current = current
        self._gave_up = gave_up
        self._begun: dict[int, float] = {}
        self.errors = 0
        self.first_error = ""

    def follow(self, session: Any) -> None:
        """Have a class of Locust's clients say when a request begins."""
        send = session.request

        def request(client: Any, method: Any, url: Any, *args: Any, **options: Any) -> Any:
            self._check(client, url)
            if not self._teller.started:
                return send(client, method, url, *args, **options)
            me = id(self._current())
            self._unreported(me)
            began = self._begun[me] = self._teller.now()
            looks = self._teller.looks
            self._teller.tell("S", began)
            try:
                return send(client, method, url, *args, **options)
            except self._gave_up:
                # The journey's own `gevent.Timeout` around the request.
                self._begun.pop(me, None)
                self._end(began, True, "timed_out_read", method, str(options.get("name") or url))
                raise
            except Exception:
                if self._begun.pop(me, None) is not None:
                    self._raised(began, self._teller.looks == looks, method, options.get("name") or url)
                raise
            except BaseException:
                # The user was ended: a request that had gone out stays under way.
                if self._begun.pop(me, None) is not None and self._teller.looks == looks:
                    self._teller.tell("X", began)
                raise

        session.request = request

    def _raised(self, began: float, at_once: bool, method: Any, name: Any) -> None:
        """The client itself raised: at once, when nothing was sent, or after it, for example over a redirection."""
        if at_once:
            self._teller.tell("X", began)
        else:
            self._end(began, True, "failed_protocol", method, name)

    def _check(self, client: Any, url: Any) -> None:
        """Refuse hosts that this wave may not load."""
        full = str(url) if re.match(r"https?://", str(url), re.IGNORECASE) else str(client.base_url)
        host = (urlsplit(full).hostname or "").lower()
        if host not in self._hosts:
            self._teller.fatal(f"host {host}")
            raise PermissionError(f"this wave may not load {host}")

    def _unreported(self, me: int) -> None:
        """A request that this user made before, and of which Locust has said nothing: its answer broke the journey."""
        began = self._begun.pop(me, None)
        if began is not None:
            self._end(began, True, "failed_body", "", "(broke the journey)")

    def ended(
        self,
        request_type: Any,
        name: Any,
        response_time: Any,
        exception: Any = None,
        start_time: float | None = None,
        response: Any = None,
        **rest: Any,
    ) -> None:
        """Locust's event `request`."""
        if not self._teller.started:
            return
        began = None if response is None else self._begun.pop(id(self._current()), None)
        told = began is not None
        ms = float(response_time or 0.0)
        if began is None:
            began = max(0.0, self._teller.now() - ms / 1e3)
        status = getattr(response, "status_code", 0)
        kind = kind_of(status if isinstance(status, int) else 0, exception)
        self._end(began, told, kind, request_type, name, ms)

    def _end(
        self, began: float, told: bool, kind: str, method: Any, name: Any, ms: float | None = None
    ) -> None:
        if ms is None:
            ms = (self._teller.now() - began) * 1e3
        self._teller.tell("R", began, "1" if told else "0", ms, kind, one_line(f"{method} {name}"))

    def erred(self, exception: BaseException, **rest: Any) -> None:
        """Locust's event `user_error`: the journey's own code raised."""
        self._unreported(id(self._current()))
        self.errors += 1
        self.first_error = self.first_error or f"{type(exception).__name__}: {exception}"


# --------------------------------------------------------------------------------------------------- coming


class Guest:
    """Locust, run by the plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._teller = Teller(int(plan["lines"]))
        self._gevent = importlib.import_module("gevent")
        events = importlib.import_module("gevent.event")
        self._started, self._stopped = events.Event(), events.Event()
        self._environment: Any = None
        self._requests = Requests(self._teller, plan["hosts"], self._gevent.getcurrent, self._gevent.Timeout)
        self._users: dict[int, Any] = {}
        self._present: dict[str, int] = {}
        self._cpu_s = 0.0
        self._running = True

    def attach(self, locust: Any) -> None:
        """Listen to Locust's events, before it reads the journey."""
        self._requests.follow(importlib.import_module("locust.clients").HttpSession)
        self._requests.follow(importlib.import_module("locust.contrib.fasthttp").FastHttpSession)
        locust.events.init.add_listener(self._init)
        locust.events.request.add_listener(self._requests.ended)
        locust.events.user_error.add_listener(self._requests.erred)
        locust.events.quitting.add_listener(self._quit)

    def _init(self, environment: Any, runner: Any, **rest: Any) -> None:
        """Locust's event `init`: the journey is read, nothing has begun. Users come by the plan, not otherwise."""
        if type(runner).__name__ != "LocalRunner":
            self._teller.fatal(
                "distributed: Locust is set to run as a master or a worker (locust.conf, LOCUST_*)"
            )
            raise SystemExit(1)
        self._environment = environment
        environment.parsed_options.run_time = None
        if environment.shape_class is not None:
            self._teller.tell("N", "the journey's own LoadTestShape was not used: --users says who comes")
        shape = importlib.import_module("locust").LoadTestShape

        class Planned(shape):  # type: ignore[misc, valid-type]
            """Brings the users itself, one by one: asked for the first time, it comes back when the plan has ended."""

            tick = lambda this: self._run()  # noqa: E731

        environment.shape_class = Planned()

    def _run(self) -> None:
        runner = self._environment.runner
        # With nobody yet, so that Locust has begun and `test_start` is over.
        runner.start(0, 1.0)
        runner.spawning_greenlet.join()
        self._gevent.spawn(self._listen)
        # What has been loaded is here to stay: looking through it again and again takes 10 ms each time.
        gc.collect()
        gc.freeze()
        self._teller.tell("ready")
        self._teller.flush()
        self._started.wait()
        self._cpu_s = time.process_time()
        self._gevent.spawn(self._watch_loop)
        if not self._stopped.is_set():
            self._bring_users()
        for user in self._users.values():
            _dismiss(user)

    def _listen(self) -> None:
        """Standard input: `start`, `stop`; its end means that whoever started this has gone."""
        gevent_os = importlib.import_module("gevent.os")
        gevent_os.make_nonblocking(0)
        text = ""
        while data := gevent_os.nb_read(0, 4096):
            *lines, text = (text + data.decode()).split("\n")
            for line in lines:
                word, _, value = line.partition(" ")
                if word == "start":
                    self._teller.origin, self._teller.started = float(value), True
                    self._started.set()
                else:
                    self._stopped.set()
        self._stopped.set()
        self._started.set()

    def _watch_loop(self) -> None:
        """How late the loop is, a hundred times a second; how many users there are; and all lines on their way."""
        users, flushed = 0, 0.0
        while self._running:
            due = self._teller.now() + LAG_SECONDS
            self._gevent.sleep(LAG_SECONDS)
            now = self._teller.now()
            self._teller.tell("L", now, max(0.0, now - due))
            self._teller.looks += 1
            if len(self._environment.runner.user_greenlets) != users:
                users = len(self._environment.runner.user_greenlets)
                self._teller.tell("U", now, str(users))
            if now - flushed >= _FLUSH_SECONDS:
                self._teller.flush()
                flushed = now

    def _bring_users(self) -> None:
        at_once = 0
        for t, number, joins in self._plan["changes"]:
            ahead = t - self._teller.now()
            if ahead > 0.0:
                at_once = 0
                if self._stopped.wait(ahead):
                    return
            if joins:
                self._users[number] = self._bear()
            else:
                user = self._users.pop(number)
                self._present[type(user).__name__] -= 1
                _dismiss(user)
            at_once += 1
            if at_once % _MOST_AT_ONCE == 0:
                self._gevent.sleep(0)
        self._stopped.wait(max(0.0, self._plan["traffic_s"] - self._teller.now()))

    def _bear(self) -> Any:
        cls = self._next_class()
        user = cls(self._environment)
        user.start(self._environment.runner.user_greenlets)
        return user

    def _next_class(self) -> Any:
        """Fixed counts first, then the class that is furthest behind its weight."""
        classes = self._environment.user_classes
        counts = self._present
        wanting = [c for c in classes if counts.get(c.__name__, 0) < c.fixed_count]
        weighted = [c for c in classes if not c.fixed_count and c.weight > 0]
        if wanting:
            cls = wanting[0]
        else:
            cls = min(weighted or classes, key=lambda c: (counts.get(c.__name__, 0) + 0.5) / (c.weight or 1))
        counts[cls.__name__] = counts.get(cls.__name__, 0) + 1
        return cls

    def _quit(self, **rest: Any) -> None:
        """Locust's event `quitting`: all users have gone."""
        self._running = False
        if self._requests.errors:
            self._teller.tell("E", str(self._requests.errors), one_line(self._requests.first_error))
        now = self._teller.now()
        self._teller.tell("U", now, "0")
        self._teller.tell("end", now, time.process_time() - self._cpu_s)
        self._teller.flush()


def _dismiss(user: Any) -> None:
    """Have a user go: at once where it waits for its next task, else after the one that it is in."""
    state = importlib.import_module("locust.user.task")
    if user.greenlet.dead or user._state == state.LOCUST_STATE_STOPPING:
        return
    if user._state == state.LOCUST_STATE_WAITING:
        # One that wakes up just now, before it is ended, is not to begin another task.
        user._state = state.LOCUST_STATE_STOPPING
        user.group.killone(user.greenlet, block=False)
    else:
        user.stop()


def main() -> None:
    """Run Locust with the arguments of this process."""
    here = os.path.dirname(os.path.abspath(__file__))
    # The modules beside this one are not for the journey, and one of them is called as Locust is.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    with open(os.environ.pop("SEAWALL_JOURNEY")) as file:
        plan = json.load(file)
    sys.argv[0] = "locust"
    random.seed(plan["seed"])
    # Before anything that uses sockets: Locust puts gevent's in their place.
    locust = importlib.import_module("locust")
    Guest(plan).attach(locust)
    importlib.import_module("locust.main").main()


if __name__ == "__main__":
    main()

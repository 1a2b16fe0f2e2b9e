"""Which class of request a recorded path belongs to, by patterns; and a proposal of classes from a log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.spool import Spool, release

OTHER = "other"
"""The class of whatever no pattern matches."""
NO_REQUEST = -2
"""In place of a class: a line of the log that holds no request."""

_BLOCK = 1 << 17
_METHOD = re.compile(r"([A-Z]+)\s+(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: a method (empty: any) and what a path has to be, as written and as a test of the path."""

    text: str
    method: str
    matches: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Patterns of all classes in order: the first that matches decides.

    `names` are the classes as given; `other` is the index of the class named "other", or len(names) if none
    is.
    """

    names: tuple[str, ...]
    patterns: tuple[tuple[int, Pattern], ...]

    @property
    def other(self) -> int:
        """The index of whatever no pattern matches."""
        return self.names.index(OTHER) if OTHER in self.names else len(self.names)

    def classify(self, method: str, target: str) -> int:
        """The class of one request; the query and the fragment of its target do not count."""
        path = _path(target)
        for index, pattern in self.patterns:
            if (not pattern.method or pattern.method == method) and pattern.matches(path):
                return index
        return self.other

    def classes(self, log: RequestLog) -> NDArray[np.int32]:
        """The class of each line of a log, shape (n,); NO_REQUEST where a line holds none."""
        classes = Spool(np.int32)
        known: dict[int, int] = {}
        for begin in range(0, log.method.size, _BLOCK):
            different, places = np.unique(_pairs(log, begin, begin + _BLOCK), return_inverse=True)
            if len(known) > _BLOCK:
                known.clear()
            for pair in different.tolist():
                if pair not in known:
                    path, method = divmod(pair, len(log.methods))
                    known[pair] = (
                        self.classify(log.methods[method], log.paths[path]) if method else NO_REQUEST
                    )
            found = np.array([known[pair] for pair in different.tolist()], dtype=np.int32)
            classes.append(found[places])
            release(log.path, log.method)
        return classes.finished()

    def shares(self, log: RequestLog) -> dict[str, float]:
        """Share of a log's requests by class, "other" last if no class has that name; they add up to 1."""
        return self.shares_of(self.classes(log))

    def shares_of(self, classes: NDArray[np.int32]) -> dict[str, float]:
        """The same from the classes of its lines."""
        names = (*self.names, OTHER)[: max(len(self.names), self.other + 1)]
        counts = np.zeros(len(names), dtype=np.int64)
        for begin in range(0, classes.size, _BLOCK):
            block = classes[begin : begin + _BLOCK]
            counts += np.bincount(block[block >= 0], minlength=len(names))
            release(classes)
        return dict(zip(names, (counts / max(1, counts.sum())).tolist(), strict=True))


def compile_patterns(classes: Mapping[str, Sequence[str]]) -> Classifier:
    """A classifier from the patterns of each class, in order.

    A pattern is a glob of the whole path in which `*` stands for any characters, `/` among them (`/api/*`),
    or after `~` a regular expression that is searched for (`~\\.(png|css)$`). A method may stand before
    either (`POST /api/*`). Raises InputError for a pattern that cannot be one.
    """
    patterns = []
    for index, (name, texts) in enumerate(classes.items()):
        patterns += [(index, parse_pattern(text, name)) for text in texts]
    return Classifier(tuple(classes), tuple(patterns))


def parse_pattern(text: str, name: str = "") -> Pattern:
    """Read one pattern; `name` is its class, for the message of the InputError."""
    of = f" of class {name}" if name else ""
    where = f'pattern "{text}"{of}'
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where} is empty; write a path such as /api/*")
    match = _METHOD.fullmatch(text.strip())
    method, path = (match[1], match[2]) if match else ("", text.strip())
    if path.startswith("~"):
        try:
            return Pattern(text, method, re.compile(path[1:].strip()).search)
        except re.error as error:
            raise InputError(f"{where} is no regular expression: {error}") from error
    if not path.startswith(("/", "*")) or any(c.isspace() for c in path):
        example = "`/api/*`, `POST /api/*` or `~^/item/[0-9]+$`"
        raise InputError(f"{where} is no path: it begins with `/` or `*`; write for example {example}")
    if "?" in path or "#" in path:
        raise InputError(f"{where} has a query, and paths are matched without theirs; leave it out")
    glob = re.compile(".*".join(re.escape(part) for part in path.split("*")), re.DOTALL)
    return Pattern(text, method, glob.fullmatch)


def _pairs(log: RequestLog, begin: int, end: int) -> NDArray[np.int64]:
    """Path and method of some rows in one number, shape (rows,)."""
    return log.path[begin:end].astype(np.int64) * len(log.methods) + log.method[begin:end]


def _path(target: str) -> str:
    return target.partition("?")[0].partition("#")[0]


# -------------------------------------------------------------------------------------- proposing classes

_STATIC = "png|jpe?g|gif|svg|ico|webp|avif|css|js|map|woff2?|ttf|eot|mp4|webm"
_STATIC_PATH = re.compile(rf"\.({_STATIC})$", re.IGNORECASE)
_ID = re.compile(
    r"\d+|[0-9a-f]{8,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=.*\d)[\w-]{20,}",
    re.IGNORECASE,
)
_SMALLEST_SHARE = 0.02
_SPLIT_SHARE = 0.25
_LOOKED_AT = 200_000
"""So many requests tell the shares of classes: one of 2 % within 0.1 %."""


@dataclass(frozen=True, slots=True)
class ProposedClass:
    """A class worth naming: its patterns, its share of the log's requests, and its most frequent path."""

    name: str
    patterns: tuple[str, ...]
    share: float
    example: str


@dataclass(slots=True)
class _Group:
    """Requests below one prefix of normalised path segments; `method` is empty for GET and HEAD."""

    method: str
    prefix: tuple[str, ...]
    paths: Counter[tuple[tuple[str, ...], str]]

    @property
    def requests(self) -> int:
        return self.paths.total()


def propose_classes(log: RequestLog, at_most: int = 6) -> list[ProposedClass]:
    """Up to `at_most` classes that cover most of a log, in the order in which they are to be tried.

    Static files (by the ending) are one class. The rest is grouped by method (GET and HEAD together, rare
    ones with them) and by the first segments of the path, with ids (numbers, hexadecimals, UUIDs, long
    tokens) taken as `*`; the largest group is split by its next segment as long as it holds over a quarter
    of the requests and has parts of over 2 %. The shares are what the patterns, tried in order, give. Of a long
    log some 200,000 evenly spread requests are looked at.
    """
    requests = _count(log)
    smallest = _SMALLEST_SHARE * requests.total()
    static: Counter[str] = Counter()
    groups = {"": _Group("", (), Counter())}
    for method, verb in _verbs(requests, smallest).items():
        for (asked, path), count in requests.items():
            if asked != method:
                continue
            if not verb and _STATIC_PATH.search(path):
                static[path] += count
                continue
            segments = tuple("*" if _ID.fullmatch(s) else s for s in path.strip("/").split("/"))
            groups.setdefault(verb, _Group(verb, (), Counter())).paths[segments, path] += count
    room = at_most - bool(static)
    chosen = _split([g for g in groups.values() if g.requests], requests.total(), room)
    found = [_proposed(g) for g in sorted(chosen, key=_narrowness) if g.requests]
    if static and at_most > 0:
        files = ProposedClass("static", (rf"~\.({_STATIC})$",), 0.0, static.most_common(1)[0][0])
        found.insert(sum(c.patterns[0][0].isupper() for c in found), files)
    return _with_shares(_with_own_names(found), requests)


def _verbs(requests: Counter[tuple[str, str]], smallest: float) -> dict[str, str]:
    """For each method the one that its patterns name: none for GET, HEAD and those that hardly occur."""
    by_method: Counter[str] = Counter()
    for (method, _), count in requests.items():
        by_method[method] += count
    plain = ("GET", "HEAD")
    return {m: "" if m in plain or n < smallest else m for m, n in by_method.items()}


def _count(log: RequestLog) -> Counter[tuple[str, str]]:
    """Requests by (method, path without query)."""
    every = -(-log.method.size // _LOOKED_AT)
    pairs = log.path[::every].astype(np.int64) * len(log.methods) + log.method[::every]
    different, counts = np.unique(pairs[pairs % len(log.methods) > 0], return_counts=True)
    requests: Counter[tuple[str, str]] = Counter()
    for pair, count in zip(different.tolist(), counts.tolist(), strict=True):
        path, method = divmod(pair, len(log.methods))
        requests[log.methods[method], _path(log.paths[path])] += count
    return requests


def _split(groups: list[_Group], total: int, room: int) -> list[_Group]:
    """Split the largest group again and again, while there is room; a part that is too small stays behind."""
    groups = sorted(groups, key=lambda g: -g.requests)[: max(0, room)]
    done: set[int] = set()
    while True:
        large = [g for g in groups if id(g) not in done and g.requests > _SPLIT_SHARE * total]
        if not large:
            return groups
        group = max(large, key=lambda g: g.requests)
        done.add(id(group))
        for part in _parts(group, _SMALLEST_SHARE * total)[: room - len(groups)]:
            for key in part.paths:
                del group.paths[key]
            groups.append(part)


def _parts(group: _Group, smallest: float) -> list[_Group]:
    """The parts of a group by its next segment, largest first; the whole of it is no part."""
    depth = len(group.prefix)
    parts: dict[str, _Group] = {}
    for (segments, path), count in group.paths.items():
        if len(segments) > depth:
            prefix = (*group.prefix, segments[depth])
            part = parts.setdefault(segments[depth], _Group(group.method, prefix, Counter()))
            part.paths[segments, path] = count
    large = [part for part in parts.values() if part.requests >= smallest]
    return sorted(large, key=lambda part: (-part.requests, part.prefix))


def _narrowness(group: _Group) -> tuple[bool, int, int, tuple[str, ...]]:
    """Sorting key that puts a pattern before any wider one."""
    return not group.method, -len(group.prefix), sum(s == "*" for s in group.prefix), group.prefix


def _proposed(group: _Group) -> ProposedClass:
    """A class from a group; its share is still to be counted."""
    depth = len(group.prefix)
    path = "/" + "/".join(group.prefix)
    paths = []
    if not depth:
        paths = ["/*"]
    elif any(len(segments) > depth or path.endswith("/") for segments, path in group.paths):
        paths = [path.rstrip("/") + "/*"]
    if depth and any(len(segments) == depth and not p.endswith("/") for segments, p in group.paths):
        paths.insert(0, path)
    if path == "/" and depth:
        paths = ["/"]
    words = [re.sub(r"[^a-z0-9]+", "-", s.lower()).strip("-") for s in group.prefix if s != "*"]
    name = "-".join(w for w in (group.method.lower(), *words) if w) or ("home" if depth else "pages")
    patterns = tuple(f"{group.method} {p}".strip() for p in paths)
    return ProposedClass(name, patterns, 0.0, group.paths.most_common(1)[0][0][1])


def _with_own_names(found: list[ProposedClass]) -> list[ProposedClass]:
    """The same classes, a number added to a name that is taken."""
    seen: Counter[str] = Counter()
    named = []
    for proposed in found:
        seen[proposed.name] += 1
        n = seen[proposed.name]
        named.append(replace(proposed, name=proposed.name if n == 1 else f"{proposed.name}-{n}"))
    return named


def _with_shares(found: list[ProposedClass], requests: Counter[tuple[str, str]]) -> list[ProposedClass]:
    """The same classes, each with the share of the requests that its patterns get."""
    classifier = compile_patterns({c.name: c.patterns for c in found})
    counts: Counter[int] = Counter()
    for (method, path), count in requests.items():
        counts[classifier.classify(method, path)] += count
    total = max(1, requests.total())
    return [replace(c, share=counts[i] / total) for i, c in enumerate(found)]

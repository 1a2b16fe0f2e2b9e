"""What was seen lately, in bounded memory: a table that forgets what has not been asked for the longest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

_ENTRY_BYTES = 200
"""About what an entry takes beside the bytes of its key: key and value as objects, and their place in the table."""

K = TypeVar("K")


class Known(Generic[K]):
    """Numbers by key, in two generations: when the young one is full it becomes the old one, and the old one goes.

    `make` gives the numbers of keys that are new or forgotten, `weigh` about how many bytes keys have. An entry
    that is asked for again stays: about twice `generation_bytes` are held, and at least one generation of the
    entries last asked for is known. Keys come in batches, which is several times quicker than one by one.
    """

    def __init__(
        self,
        generation_bytes: int,
        make: Callable[[list[K]], Iterable[int]],
        weigh: Callable[[Iterable[K]], int],
    ) -> None:
        self._most = generation_bytes
        self._make, self._weigh = make, weigh
        self._bytes = 0
        self._young: dict[K, int] = {}
        self._old: dict[K, int] = {}

    def numbers(self, keys: Sequence[K]) -> list[int]:
        """The number of each key."""
        found = list(map(self._young.get, keys))
        if None in found:
            places = [i for i, number in enumerate(found) if number is None]
            missing = [keys[i] for i in places]
            self._learn(list(dict.fromkeys(missing)))
            for i, number in zip(places, map(self._young.get, missing), strict=True):
                found[i] = number
        return found  # type: ignore[return-value]

    def _learn(self, keys: list[K]) -> None:
        """Put keys that are not in the young generation there."""
        if self._bytes > self._most:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._bytes += self._weigh(keys) + _ENTRY_BYTES * len(keys)
        if self._old:
            recalled = {key: self._old[key] for key in keys if key in self._old}
            self._young.update(recalled)
            keys = [key for key in keys if key not in recalled]
        self._young.update(zip(keys, self._make(keys), strict=True))

    def number(self, key: K) -> int:
        """The number of one key."""
        return self.numbers((key,))[0]


def lengths(texts: Iterable[bytes]) -> int:
    """How many bytes texts have together."""
    return sum(map(len, texts))

"""The index of event ids of one source partition: which ids were seen within the horizon of event time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dataflows.intake.rules import KEPT

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Mask = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.int64]

SLOTS = 8
"""Ids in a bucket: a cache line of fingerprints."""

_SMALLEST = 1024
_STRIPE = 1024
"""Buckets that are looked through in one go: a pause of a fraction of a millisecond."""

_HALF = np.uint64(32)
_ONE = np.uint64(1)
_MIX = np.uint64(33)
_LONGEST = 256 * 4
"""Bytes of an id, at the most."""


class Fingerprints:
    """96-bit fingerprints of ids, a whole chunk at a time.

    Multilinear hashing over 32-bit words (Lemire and Kaser, "Strongly universal string hashing is fast", 2014, theorem 1), three times
    with coefficients of their own: whatever the ids, two different ones get the same 96 bits with a chance of 2**-96. The coefficients are
    the process's own and random, so that nobody can choose ids which collide.
    """

    def __init__(self) -> None:
        words = 1 + _LONGEST // 4 + 1
        self._coefficients = np.frombuffer(os.urandom(3 * words * 8), np.uint64).reshape(3, words).copy()

    def of(self, ids: Sequence[str]) -> tuple[Words, Words]:
        """The first 64 bits of each fingerprint, never 0, and the other 32; two arrays as long as `ids`, which is not empty."""
        sums = self._sums(ids)
        sums >>= _HALF
        first = sums[0] << _HALF
        first |= sums[1]
        # Ids that are counted up make sums that are counted up, which fill the buckets unevenly. MurmurHash3's last step mixes them;
        # it is one to one, so that the chance above stays what it is.
        first ^= first >> _MIX
        first *= np.uint64(0xFF51AFD7ED558CCD)
        first ^= first >> _MIX
        first *= np.uint64(0xC4CEB9FE1A85EC53)
        first ^= first >> _MIX
        return np.maximum(first, _ONE), sums[2]

    def _sums(self, ids: Sequence[str]) -> Words:
        size = len(ids[0].encode())
        gap = 4 - size % 4
        text = ("\0" * gap).join(ids).encode() + bytes(gap)
        if len(text) == len(ids) * (size + gap) and text.count(0) == len(ids) * gap:
            rows = np.frombuffer(text, np.uint8).reshape(len(ids), -1)
            if not rows[:, size:].any():  # so each id has `size` bytes, as most ids have where they are made by one program
                words = rows.view(np.uint32).astype(np.uint64)
                return self._coefficients[:, 1 : 1 + words.shape[1]] @ words.T + self._coefficients[:, :1] * np.uint64(size)
        return self._sums_of_any(ids)

    def _sums_of_any(self, ids: Sequence[str]) -> Words:
        """The same for ids of different lengths: a word of zeros adds nothing, so each takes just the words that it needs."""
        raw = [event_id.encode() for event_id in ids]
        sizes = np.array(list(map(len, raw)))
        counts = sizes // 4 + 1
        text = b"".join([one.ljust(4 * count, b"\0") for one, count in zip(raw, counts.tolist(), strict=True)])
        starts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) - np.repeat(starts, counts) + 1
        products = np.frombuffer(text, np.uint32) * self._coefficients[:, places]
        return np.add.reduceat(products, starts, axis=1) + self._coefficients[:, :1] * sizes.astype(np.uint64)


class IdIndex:
    """Ids by generation, a generation being a fixed span of the partition's event-time clock.

    The content is a function of the log alone: an id stands in the generation of the clock at which it was last seen, and a generation
    is forgotten as a whole when the clock is `KEPT` spans further. So an index that is filled again from the start of the oldest
    generation kept is the index that was lost.

    It is a hash table of fingerprints in arrays, 13 bytes a slot and 16 to 41 an id (a set of strings takes 135). Each id may stand
    in one of two buckets and goes to the emptier one (Azar et al., "Balanced allocations", 1999), so that three quarters of the slots are
    taken before a bucket is full. Then the table doubles: each bucket falls into two, slot by slot, which takes no more than a copy.
    """

    def __init__(self) -> None:
        self._fingerprints = Fingerprints()
        self._generation: int | None = None
        self._make(_SMALLEST)

    def __len__(self) -> int:
        """Ids that are known."""
        return int(np.count_nonzero((self._first != 0) & self._is_kept(self._born)))

    @property
    def nbytes(self) -> int:
        """Bytes that the table takes."""
        return self._first.nbytes + self._rest.nbytes + self._born.nbytes

    def turn(self, generation: int) -> None:
        """Make `generation` the current one and forget those that are too old; going back forgets nothing."""
        before, self._generation = self._generation, generation
        if before is None or generation <= before:
            return
        while self._swept < len(self._first):
            self._sweep()
        if generation - before >= KEPT:
            self._make(_SMALLEST)
        else:
            self._shrink()
            self._swept = 0  # what is too old counts no more from now on, and leaves bit by bit

    def add(self, ids: Sequence[str]) -> Mask | None:
        """Remember `ids` in the current generation. None if all are new, else which of them are.

        Of an id that stands twice in `ids` the first is new.
        """
        if not ids:
            return None
        if self._swept < len(self._first):
            self._sweep()
        first, rest = self._fingerprints.of(ids)
        rows = self._rows(first)
        held = self._first.take(rows, axis=0)
        new = self._new(first, rest, rows, held)
        if new is None:
            self._insert(first, rest, rows, held, self._byte)
        else:
            self._insert(first[new], rest[new], rows[:, new], held[:, new], self._byte)
        return new

    def _is_kept(self, born: npt.NDArray[np.uint8]) -> Mask:
        # In a byte: what goes back a little, for a refill, is as young as can be.
        return (born - np.uint8((self._generation or 0) - KEPT & 0xFF)).view(np.int8) > 0

    def _new(self, first: Words, rest: Words, rows: Places, held: Words) -> Mask | None:
        """Which are not in the table, and the first of their kind; None for all. Known ones are taken over into the current generation."""
        new: Mask | None = None
        hits = held == first[:, None]
        if hits.any():
            side, number, column = hits.nonzero()
            places = rows[side, number] * SLOTS + column
            same = (self._rest.take(places) == rest[number]) & self._is_kept(self._born.take(places))
            self._born.put(places[same], self._byte)
            new = np.ones(len(first), np.bool_)
            new[number[same]] = False
        ordered = np.sort(first)
        if (ordered[1:] == ordered[:-1]).any():
            order = np.lexsort((rest, first))
            first, rest = first[order], rest[order]
            again = (first[1:] == first[:-1]) & (rest[1:] == rest[:-1])
            leading = np.ones(len(first), np.bool_)
            leading[order[1:][again]] = False
            new = leading if new is None else new & leading
        return None if new is None or new.all() else new

    def _insert(self, first: Words, rest: Words, rows: Places, held: Words, born: int) -> None:
        while True:
            # A byte for each slot of the two buckets, 1 if it is free: as one number, its bits are counted at once.
            free = (held == 0).view(np.uint64)[..., 0]
            room = np.bitwise_count(free)
            emptier = room[0] >= room[1]
            slots = np.where(emptier, free[0], free[1])
            if slots.all():
                lowest = np.bitwise_count((slots & -slots) - _ONE) >> 3
                places = np.where(emptier, rows[0], rows[1]) * SLOTS + lowest
                self._first.put(places, first)
                self._rest.put(places, rest)
                self._born.put(places, born)
                # Where two of a chunk took the same slot the last one has it, in all three arrays, and the others try again.
                lost = (self._first.take(places) != first) | (self._rest.take(places) != rest)
                if not lost.any():
                    return
                first, rest = first[lost], rest[lost]
            else:
                self._double()
            rows = self._rows(first)
            held = self._first.take(rows, axis=0)

    @property
    def _byte(self) -> int:
        return (self._generation or 0) & 0xFF

    def _rows(self, first: Words) -> Places:
        """The two buckets of each fingerprint, as two rows: the uppermost bits of each half of it."""
        return (first >> self._shifts & self._mask).view(np.int64)

    def _make(self, buckets: int) -> None:
        """An empty table; `buckets` is a power of two."""
        shape = (buckets, SLOTS)
        self._use(np.zeros(shape, np.uint64), np.zeros(shape, np.uint32), np.zeros(shape, np.uint8))
        self._swept = buckets

    def _use(self, first: Words, rest: npt.NDArray[np.uint32], born: npt.NDArray[np.uint8]) -> None:
        self._first, self._rest, self._born = first, rest, born
        bits = len(first).bit_length() - 1
        self._shifts = np.array([[64 - bits], [32 - bits]], np.uint64)
        self._mask = np.uint64(len(first) - 1)

    def _double(self) -> None:
        """Let each bucket fall into two, by one more bit of the half of the fingerprint that chose it."""
        count = len(self._first)
        first = np.empty((count, 2, SLOTS), np.uint64)
        upper, lower = self._shifts.ravel()
        for start in range(0, count, _STRIPE):
            stripe = slice(start, start + _STRIPE)
            held = self._first[stripe]
            own = np.arange(start, start + len(held), dtype=np.uint64)[:, None]
            odd = np.where(held >> upper == own, held >> (upper - _ONE), held >> (lower - _ONE)) & _ONE
            np.multiply(held, odd, out=first[stripe, 1])
            np.subtract(held, first[stripe, 1], out=first[stripe, 0])
        # What stands beside a free slot is of no meaning: both buckets get it all.
        rest, born = np.repeat(self._rest, 2, axis=0), np.repeat(self._born, 2, axis=0)
        shape = (2 * count, SLOTS)
        self._use(first.reshape(shape), rest, born)
        self._swept = min(self._swept, count) * 2

    def _shrink(self) -> None:
        """A table of which little is left, after a rush, becomes a smaller one."""
        held = self._first != 0
        if len(self._first) <= _SMALLEST or np.count_nonzero(held) > self._first.size // 16:
            return
        first, rest, born = self._first[held], self._rest[held].astype(np.uint64), self._born[held]
        self._make(len(self._first) // 4)
        for byte in np.unique(born).tolist():
            these = born == byte
            rows = self._rows(first[these])
            self._insert(first[these], rest[these], rows, self._first.take(rows, axis=0), byte)

    def _sweep(self) -> None:
        """Free the slots of forgotten ids in the next buckets."""
        stripe = slice(self._swept, self._swept + _STRIPE)
        self._first[stripe][~self._is_kept(self._born[stripe])] = 0
        self._swept += _STRIPE

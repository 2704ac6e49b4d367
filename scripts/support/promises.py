"""What the writers were promised, kept outside of the mount.

Contents are pieces of one pool of random bytes, so that any of them can be made again at any time.
For each path there is the list of contents that it may have: one after an operation that was
acknowledged, more after one that failed or was interrupted.
"""

import functools
import hashlib
import random
from collections import namedtuple

POOL_SIZE = 64 << 20
ABSENT = None

# `pieces` are (offset, length) in the pool. A prefix of them is allowed as well, down to `least` bytes.
Outcome = namedtuple("Outcome", "pieces least")
EMPTY = Outcome((), 0)


@functools.cache
def pool():
    return memoryview(random.Random(20240229).randbytes(POOL_SIZE))


def size_of(pieces):
    return sum(length for _, length in pieces)


def whole(pieces):
    return Outcome(tuple(pieces), size_of(pieces))


def any_prefix(pieces):
    return Outcome(tuple(pieces), 0)


def cut(pieces, begin, end):
    """The bytes from `begin` up to `end`."""
    taken = []
    for offset, length in pieces:
        low, high = max(begin, 0), min(end, length)
        if low < high:
            taken.append((offset + low, high - low))
        begin, end = begin - length, end - length
    return tuple(taken)


def patched(pieces, at, patch):
    return cut(pieces, 0, at) + tuple(patch) + cut(pieces, at + size_of(patch), size_of(pieces))


def draw(rng, size):
    return ((rng.randrange(POOL_SIZE - size + 1), size),) if size else ()


def write_source(path, pieces):
    with open(path, "wb") as file:
        for offset, length in pieces:
            file.write(pool()[offset:offset + length])


@functools.lru_cache(maxsize=10_000)
def digest(pieces):
    text = hashlib.sha256()
    for offset, length in pieces:
        text.update(pool()[offset:offset + length])
    return text.hexdigest()


# What is found under a path: its size and SHA-256, or ABSENT.
Found = namedtuple("Found", "size sha256")


def read_found(path):
    text, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            text.update(block)
            size += len(block)
    return Found(size, text.hexdigest())


def fits(outcome, found):
    if outcome is ABSENT or found is ABSENT:
        return outcome is found
    if not outcome.least <= found.size <= size_of(outcome.pieces):
        return False
    return digest(cut(outcome.pieces, 0, found.size)) == found.sha256


def in_words(outcome):
    if outcome is ABSENT:
        return "no file"
    if isinstance(outcome, Found):
        return f"{outcome.size} bytes, sha256 {outcome.sha256}"
    size = size_of(outcome.pieces)
    text = f"{size} bytes, sha256 {digest(outcome.pieces)}"
    return text if outcome.least == size else f"{text}, or its first {outcome.least} bytes or more"


class Promises:
    """Of one writer; only its own thread, and the check between the rounds, touch it."""

    def __init__(self):
        self.allowed = {}
        self.history = {}
        self.one_of = []  # (outcomes, paths): one of the paths has one of them
        self.broken_off = set()  # targets of renames that failed: two contents may be kept of them

    def paths(self):
        return list(self.allowed)

    def outcomes(self, path):
        return self.allowed.get(path, [ABSENT])

    def certain(self, path):
        """The only content it can have, as an Outcome or ABSENT; False while that is not known."""
        outcomes = self.outcomes(path)
        if len(outcomes) != 1:
            return False
        only = outcomes[0]
        return only if only is ABSENT or only.least == size_of(only.pieces) else False

    def is_bound(self, path):
        return any(path in paths for _, paths in self.one_of)

    def tell(self, path, what):
        """Something was done to the path: what bound it to another one holds no more."""
        self.history.setdefault(path, []).append(what)
        self.one_of = [(outcomes, paths) for outcomes, paths in self.one_of if path not in paths]

    def acknowledge(self, path, outcome):
        self.allowed[path] = [outcome]

    def allow(self, path, *outcomes):
        known = list(self.outcomes(path))
        self.allowed[path] = known + [one for one in outcomes if one not in known]

    def bind(self, outcomes, paths):
        self.one_of.append((list(outcomes), tuple(paths)))

    def settle(self, path, found):
        """From now on it is what it was found to be."""
        if found is ABSENT:
            self.allowed.pop(path, None)
            return
        fitting = next(one for one in self.outcomes(path) if fits(one, found))
        self.allowed[path] = [whole(cut(fitting.pieces, 0, found.size))]

    def judge(self, path, found):
        """Nothing, or what is wrong with what was found there."""
        if any(fits(outcome, found) for outcome in self.outcomes(path)):
            return None
        return self.describe(path, self.outcomes(path), found)

    def judge_bound(self, finds):
        """finds: a Found or ABSENT for each path of the constraints."""
        for outcomes, paths in self.one_of:
            if not any(fits(outcome, finds[path]) for outcome in outcomes for path in paths):
                return self.describe(" and ".join(paths), outcomes, ABSENT)
        self.one_of = []
        return None

    def describe(self, path, outcomes, found):
        expected = "\n           or ".join(in_words(outcome) for outcome in outcomes)
        told = "\n  ".join(line for name in path.split(" and ")
                           for line in self.history.get(name, [])[-12:])
        return f"{path}\n  expected {expected}\n  found    {in_words(found)}\n  {told}"

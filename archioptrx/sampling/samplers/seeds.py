"""Seeds of single draws: numbers of 128 bits from the seed of a search and the numbers of a draw.

The function is that of `numpy.random.SeedSequence` (after O'Neill, "Developing a seed_seq alternative", 2015), bit for
bit. It stands here in plain Python because a walk needs nothing else of numpy, whose import takes longer than the
sampling of some hundred architectures, and because the part that depends on the seed alone is done once.
"""

from __future__ import annotations

from functools import lru_cache

WORD = 0xFFFFFFFF
POOL = 4
"""Words of the pool that all numbers are mixed into."""
Pool = tuple[int, int, int, int]


def _constants(first: int, factor: int, count: int) -> tuple[int, ...]:
    """Constants of so many hashes, each the one before times the factor."""
    values = [first]
    for _ in range(count):
        values.append(values[-1] * factor & WORD)
    return tuple(values)


IN_FIRST, IN_FACTOR = 0x43B0D7E5, 0x931E8875
OUT = _constants(0x8B51F9DD, 0x58F38DED, POOL)


def _hash(word: int, constant: int, following: int) -> int:
    """Hash of one word with two constants that follow each other."""
    word = (word ^ constant) * following & WORD
    return word ^ word >> 16


def _mix(first: int, second: int) -> int:
    """One word that depends on two."""
    word = (0xCA01F9DD * first - 0x4973F715 * second) & WORD
    return word ^ word >> 16


def _words(number: int) -> list[int]:
    """Words of a number, the lowest first; one word for 0."""
    if number < 0:
        raise ValueError(f"seeds: is {number}; allowed: 0 or more")
    words = [number & WORD]
    while number := number >> 32:
        words.append(number & WORD)
    return words


@lru_cache(maxsize=256)
def _begin(seed: int) -> tuple[Pool, int]:
    """Pool of a seed alone, and the constant of the next hash."""
    words, constant = _words(seed), IN_FIRST
    pool = []
    for place in range(POOL):
        following = constant * IN_FACTOR & WORD
        pool.append(_hash(words[place] if place < len(words) else 0, constant, following))
        constant = following
    for source in range(POOL):
        for place in range(POOL):
            if place != source:
                following = constant * IN_FACTOR & WORD
                pool[place] = _mix(pool[place], _hash(pool[source], constant, following))
                constant = following
    return _add((pool[0], pool[1], pool[2], pool[3]), constant, words[POOL:])


def _add(pool: Pool, constant: int, words: list[int]) -> tuple[Pool, int]:
    """Mix further words into each word of a pool; the new pool and the constant of the next hash."""
    a, b, c, d = pool
    for word in words:
        k1 = constant * IN_FACTOR & WORD
        k2 = k1 * IN_FACTOR & WORD
        k3 = k2 * IN_FACTOR & WORD
        k4 = k3 * IN_FACTOR & WORD
        a = _mix(a, _hash(word, constant, k1))
        b = _mix(b, _hash(word, k1, k2))
        c = _mix(c, _hash(word, k2, k3))
        d = _mix(d, _hash(word, k3, k4))
        constant = k4
    return (a, b, c, d), constant


def seed_of(seed: int, *numbers: int) -> int:
    """Seed for one draw, which depends on these numbers alone.

    Raises
    ------
    ValueError
        A number is negative.
    """
    pool, constant = _begin(seed)
    words = [word for number in numbers for word in _words(number)]
    pool, _ = _add(pool, constant, words)
    state = 0
    for place, word in enumerate(pool):
        state |= _hash(word, OUT[place], OUT[place + 1]) << 32 * place
    return state

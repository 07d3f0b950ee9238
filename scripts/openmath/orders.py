"""Random-looking orders that follow from numbers alone.

A shuffle here sorts by a hash: no generator state, so the order depends on no library version, on no process and not
on how the work was cut into pieces. The hash is the output function of SplitMix64 (Steele, Lea and Flood, 2014), a
bijection on 64-bit words: distinct keys never tie.
"""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_NUMBERS_AT_ONCE = 1 << 20


def mix(keys: npt.ArrayLike, seed: int) -> Words:
    """Hash 64-bit keys; another ``seed`` gives an unrelated order, distinct keys give distinct words.

    >>> [int(word) % 1000 for word in mix([1, 2, 3], seed=0)]
    [291, 411, 456]
    """
    with np.errstate(over="ignore"):
        word = np.array(keys, dtype=np.uint64) + _finish(np.array([seed], dtype=np.uint64) * _STEP + _STEP)
        return _finish(word)


def shuffled(count: int, seed: int) -> npt.NDArray[np.int32]:
    """The numbers 0 to ``count`` - 1, below 2^31, in an order that follows from ``seed``.

    Numbers stand in the lowest bits of their hashes, so that one array is sorted, in place: 8 bytes a number and 4 of
    the result. Numbers whose hashes agree in all other bits keep their order: for 14 million, one pair in 2^40.
    """
    bits = np.uint64(count.bit_length())
    words = np.empty(count, dtype=np.uint64)
    for start in range(0, count, _NUMBERS_AT_ONCE):
        numbers = np.arange(start, min(start + _NUMBERS_AT_ONCE, count), dtype=np.uint64)
        words[start : start + _NUMBERS_AT_ONCE] = mix(numbers, seed) >> bits << bits | numbers
    words.sort()
    words &= (np.uint64(1) << bits) - np.uint64(1)
    return words.astype(np.int32)


def _finish(word: Words) -> Words:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))

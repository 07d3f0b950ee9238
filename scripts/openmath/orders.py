"""Random-looking orders that follow from numbers alone.

A shuffle here sorts by a hash: no generator state, so the order depends on no library version, on no process and not
on how the work was cut into pieces. The hash is the output function of SplitMix64 (Steele, Lea and Flood, 2014), a
bijection on 64-bit words: distinct keys never tie.
"""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(keys: npt.ArrayLike, seed: int) -> Words:
    """Hash 64-bit keys; another ``seed`` gives an unrelated order, distinct keys give distinct words.

    >>> [int(word) % 1000 for word in mix([1, 2, 3], seed=0)]
    [291, 411, 456]
    """
    with np.errstate(over="ignore"):
        word = np.array(keys, dtype=np.uint64) + _finish(np.array([seed], dtype=np.uint64) * _STEP + _STEP)
        return _finish(word)


def shuffled(count: int, seed: int) -> npt.NDArray[np.int64]:
    """The numbers 0 to ``count`` - 1 in an order that follows from ``seed``."""
    return np.argsort(mix(np.arange(count, dtype=np.uint64), seed), kind="stable")


def _finish(word: Words) -> Words:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))

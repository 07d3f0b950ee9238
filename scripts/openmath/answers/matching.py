"""Pairing the members of two collections that have no order."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

MAX_UNPAIRED = 40

Member = TypeVar("Member")


def can_be_paired(
    ones: Sequence[Member],
    others: Sequence[Member],
    same: Callable[[Member, Member], bool],
    key: Callable[[Member], Hashable] = lambda member: member,
) -> bool:
    """Whether each member has a partner of its own.

    Members of equal keys are paired off first. The rest are matched by augmenting paths, since ``same`` need not be
    transitive; more than ``MAX_UNPAIRED`` of them are never paired.

    >>> can_be_paired([1, 2], [2.5, 1.5], lambda one, other: abs(one - other) < 1)
    True
    """
    if len(ones) != len(others):
        return False
    waiting: dict[Hashable, list[Member]] = {}
    for other in others:
        waiting.setdefault(key(other), []).append(other)
    left = []
    for one in ones:
        partners = waiting.get(key(one))
        if partners:
            partners.pop()
        else:
            left.append(one)
    right = [other for others_left in waiting.values() for other in others_left]
    if len(left) > MAX_UNPAIRED:
        return False
    partner: dict[int, int] = {}

    def assign(index: int, seen: set[int]) -> bool:
        for position, other in enumerate(right):
            if position not in seen and same(left[index], other):
                seen.add(position)
                if position not in partner or assign(partner[position], seen):
                    partner[position] = index
                    return True
        return False

    return all(assign(index, set()) for index in range(len(left)))

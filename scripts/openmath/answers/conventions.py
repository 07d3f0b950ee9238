"""Conventions of grading on which people differ, as named options with defaults.

The defaults mark as right what a fair examiner would, given the reference answer: the same object in another
spelling. Each field says what its values accept; ``docs/grading.md`` has a table of examples, which the tests run.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints


@dataclass(frozen=True)
class Conventions:
    """How two answers are held against each other.

    Attributes:
        percent: what ``50\\%`` may stand for besides itself: "either" (50 and 1/2), "unit" (50), "ratio" (1/2).
        units: "optional" passes over a unit, currency or noun on one side only; "required" does not. Two units always
            have to measure the same.
        names: "optional" passes over ``x =`` on one side only; "required" does not.
        base: "optional" takes ``52`` for ``52_8``; "required" does not.
        list_order: "any" compares bare lists in any order, "given" in the order written. Sets never have an order.
        bare_tuples: whether ``3, 4`` equals ``(3, 4)``.
        rounding: "float" lets a decimal of 12 or more significant digits stand for the value that it is the correct
            rounding of; "expected" lets a decimal reference answer stand for every value that rounds to it; "none".
        intervals: whether an inequality equals the interval of its solutions.
        logarithm: the base of ``\\log`` without one: "either" (whichever makes the answers agree), "e" or "10".
    """

    percent: Literal["either", "unit", "ratio"] = "either"
    units: Literal["optional", "required"] = "optional"
    names: Literal["optional", "required"] = "optional"
    base: Literal["optional", "required"] = "optional"
    list_order: Literal["any", "given"] = "any"
    bare_tuples: Literal["yes", "no"] = "yes"
    rounding: Literal["float", "expected", "none"] = "float"
    intervals: Literal["yes", "no"] = "yes"
    logarithm: Literal["either", "e", "10"] = "either"

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Conventions":
        """Conventions from names and values, the rest as by default.

        Raises:
            ValueError: an unknown name or value; the message says which there are.
        """
        known = get_type_hints(cls)
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"no convention {name!r}; there are {', '.join(field.name for field in fields(cls))}")
            if value not in get_args(known[name]):
                raise ValueError(f"convention {name}: {value!r} is none of {', '.join(get_args(known[name]))}")
        return cls(**values)


DEFAULT = Conventions()

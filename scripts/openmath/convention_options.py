"""The option --convention of the steps that compare answers: words NAME=VALUE, and the conventions that they name."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from openmath.answers.conventions import Conventions


def conventions_from(settings: Iterable[str]) -> Conventions:
    """Conventions from words NAME=VALUE; what is not named stays as it is by default.

    Raises:
        ValueError: no such name, a value that it cannot have, or a name given twice.
    """
    chosen: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"'{setting}' is not of the form NAME=VALUE")
        if name in chosen:
            raise ValueError(f"the convention '{name}' is given twice")
        chosen[name] = value
    return Conventions.of(chosen)


def add_convention_argument(parser: argparse._ActionsContainer, when: str = "") -> None:
    """Add --convention, whose words are a list that ``conventions_from`` reads; a wrong one is a usage error.

    Args:
        parser: gets the option.
        when: what the help says before all else, such as with which other option it goes.
    """
    parser.add_argument(
        "--convention",
        action=_Setting,
        default=[],
        metavar="NAME=VALUE",
        help=f"{when}a convention that is not to be as by default; may be given again (openmath.answers.conventions)",
    )


class _Setting(argparse.Action):
    """Appends a word to the list, if conventions can be made of all of them."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        settings = [*getattr(namespace, self.dest), values]
        try:
            conventions_from(settings)
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        setattr(namespace, self.dest, settings)

"""The option --convention: every convention can be set, and what cannot be is a usage error."""

import argparse
from dataclasses import replace
from typing import get_args, get_type_hints

import pytest

from openmath.answers import DEFAULT, Conventions
from openmath.convention_options import add_convention_argument, conventions_from

CHOICES = {name: get_args(kind) for name, kind in get_type_hints(Conventions).items()}


def parse(*words: str) -> list[str]:
    parser = argparse.ArgumentParser(prog="compare")
    add_convention_argument(parser, "where answers differ: ")
    settings: list[str] = parser.parse_args(words).convention
    return settings


@pytest.mark.parametrize("name", CHOICES)
def test_every_convention_can_be_set_alone(name: str) -> None:
    for value in CHOICES[name]:
        assert conventions_from(parse(f"--convention={name}={value}")) == replace(DEFAULT, **{name: value})
    assert len({conventions_from([f"{name}={value}"]) for value in CHOICES[name]}) == len(CHOICES[name]) > 1


def test_without_settings_the_conventions_are_the_default() -> None:
    assert conventions_from(parse()) == DEFAULT
    assert parse("--convention", "percent=unit") == ["percent=unit"]
    assert parse() == [], "one call leaves nothing behind for the next"


def test_several_settings_are_set_together() -> None:
    words = ("--convention", "percent=unit", "--convention", "intervals=no")
    assert conventions_from(parse(*words)) == replace(DEFAULT, percent="unit", intervals="no")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(["percent"], "'percent' is not of the form NAME=VALUE", id="no value"),
        pytest.param(["odd=1"], "'odd'; there are percent, units, ", id="no such name"),
        pytest.param(["percent=unit", "percent=ratio"], "the convention 'percent' is given twice", id="twice"),
        pytest.param(["percent=odd"], "percent: 'odd' is none of either, unit, ratio", id="no such value"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], settings: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        conventions_from(settings)
    with pytest.raises(SystemExit) as error:
        parse(*(f"--convention={setting}" for setting in settings))
    assert error.value.code == 2
    told = capsys.readouterr().err
    assert "compare: error: argument --convention: " in told
    assert message in told

"""The list of cases: what each is called, what it needs, and with whom it shares a mount."""

import dataclasses
from typing import Callable

CASES = {}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    group: str  # cases of one group share a mount
    what: str
    run: Callable
    programs: tuple
    is_long: bool
    options: tuple  # further options of the mount; only where the case is alone in its group


def case(group, needs=(), long=False, options=()):
    """Makes a function of a Scene a case of its own name; its doc string says what has to hold."""
    def enter(function):
        name = function.__name__.strip("_")
        CASES[name] = Case(name, group, function.__doc__.strip().split("\n")[0], function,
                           tuple(needs), long, tuple(options))
        return function
    return enter

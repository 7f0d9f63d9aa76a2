"""The mutants of one module by name. A mutant is a function that patches the modules of the flow before it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Catalogue(dict[str, Callable[[], None]]):
    """Mutants by name."""

    def mutant(self, function: Callable[[], None]) -> Callable[[], None]:
        """Add a mutant under the name of its function, in words."""
        self[function.__name__.replace("_", " ")] = function
        return function


def patch(owner: Any, name: str, value: Any) -> None:
    """Put `value` in the place of the attribute `name`, which must be there: a mutant that changes nothing shows nothing."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)

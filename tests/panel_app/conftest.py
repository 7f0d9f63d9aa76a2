"""Fixtures of the dashboard's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.dashboards import server


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """`server` for one test."""
    with server() as start:
        yield start

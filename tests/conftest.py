"""Fixtures that several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desk import Desk, make_desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A small artificial table with its schema and a signing key."""
    return make_desk(tmp_path)

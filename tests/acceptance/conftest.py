"""An office with officers, an engine and accounts, and a release of it that was approved and published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desk import Office, make_office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Accounts under officers, nothing released. Of the same place as ``waiting``: a test takes one of them."""
    return make_office(tmp_path)


@pytest.fixture
def published(waiting: Office) -> Office:
    """Its release ``first`` is published."""
    waiting.approve("ana", "bo")
    assert waiting.run().exit_code == 0
    return waiting

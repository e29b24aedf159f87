"""What several tests of the pipeline share."""

import pytest

from mamp_schemas.io.store_reader import Store, open_store
from tests.report_cases import make_store


@pytest.fixture(scope="session")
def gestures(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of own recordings that move, jump, stand still and stretch; nobody may change it."""
    return open_store(make_store(tmp_path_factory.mktemp("gestures")))

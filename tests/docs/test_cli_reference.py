"""docs/cli.md, which is written from the command tree."""

import runpy

from tests.paths import TESTS

SCRIPT = runpy.run_path(str(TESTS.parent / "docs" / "cli.py"))


def test_page__is_current() -> None:
    assert SCRIPT["PAGE"].read_text() == SCRIPT["page"](), "write it anew: make docs-cli"


def test_page__has_every_command_option_default_and_variable() -> None:
    page = SCRIPT["page"]()
    for text in (
        "## `mampctl train pretrain`",
        "| `--workers NUMBER` |",
        "[default: $MAMPCTL_DATA/DATASET.zarr]",
        "`MAMPCTL_TRAIN_LINEAR_FROM`",
        "`MAMPCTL_QUIET`",
    ):
        assert text in page

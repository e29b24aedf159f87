"""Errors of writing say once what the operating system says, and then what to do."""

import errno
from pathlib import Path

import pytest

from mamp_schemas.errors import OutputError
from mamp_schemas.io.atomic import output_errors


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_output_errors__a_refusal_is_told_once(code: int) -> None:
    with pytest.raises(OutputError) as caught, output_errors(Path("store")):
        raise PermissionError(code, "Permission denied", "store")
    assert (caught.value.message, caught.value.remedy) == (
        "store: cannot be written: Permission denied",
        "Choose an output you may write to.",
    )

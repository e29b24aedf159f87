"""Checks of the versions of Python and of the installed packages, extra by extra."""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mampctl.doctor import Finding

EXTRA_PURPOSES = {
    "pipeline": "ingest, import and export",
    "trainer": "train and what follows it",
    "export": "export-model",
    "report": "report and show --gif, --png",
    "s3": "buckets, s3://BUCKET/KEY",
}
"""The extras and the commands that need them."""

FindVersion = Callable[[str], str | None]
"""Returns the version of a package, None if it is not installed."""


def check_packages() -> list[Finding]:
    """Compare Python and every package with the requirements in mampctl's metadata."""
    package = metadata("mampctl")
    required = [Requirement(line) for line in package.get_all("Requires-Dist") or ()]
    python = SpecifierSet(package["Requires-Python"])
    return [
        Finding("ok", "mampctl", package["Version"]),
        check_python(platform.python_version(), python),
        check_extra("", required, installed_version),
        *(check_extra(extra, required, installed_version) for extra in EXTRA_PURPOSES),
    ]


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, None if Python cannot find it for an import."""
    try:
        installed = version(name)
        return installed if name in _OTHER_MODULES or find_spec(name) else None
    except (PackageNotFoundError, ModuleNotFoundError, ValueError):
        return None


_OTHER_MODULES = ("google-crc32c", "pyyaml")
"""Packages whose modules have another name; mampctl has imported them already."""


def check_python(installed: str, wanted: SpecifierSet) -> Finding:
    """Compare Python's version with the required one."""
    if wanted.contains(installed, prereleases=True):
        return Finding("ok", "python", installed)
    return Finding("problem", "python", f"{installed}, expected {wanted}", f"Install into a Python {wanted}.")


def check_extra(extra: str, required: Sequence[Requirement], find: FindVersion) -> Finding:
    """Compare the packages of an extra, or of the base if none is named, with the requirements.

    A missing extra is a warning, as only its commands need it; a package of a wrong version is a problem.
    """
    about, where = extra or "base", f"mampctl[{extra}]" if extra else "mampctl"
    wanted = list(_requirements_of(extra, required))
    versions = {requirement.name: find(requirement.name) for requirement in wanted}
    missing = [name for name, installed in versions.items() if installed is None]
    wrong = [
        f"{requirement.name} {installed}, expected {requirement.specifier}"
        for requirement in wanted
        if (installed := versions[requirement.name]) is not None
        and not requirement.specifier.contains(installed, prereleases=True)
    ]
    if not wanted:
        return Finding("warning", about, "the installed mampctl has no such extra", f"pip install --upgrade '{where}'")
    remedy = f"pip install --upgrade '{where}'" if wrong else f"pip install '{where}'"
    if wrong or (missing and not extra):
        return Finding("problem", about, ", ".join([*wrong, *(f"{name} is missing" for name in missing)]), remedy)
    if missing:
        return Finding("warning", about, f"{', '.join(missing)} missing, needed by {EXTRA_PURPOSES[extra]}", remedy)
    return Finding("ok", about, ", ".join(f"{name} {installed}" for name, installed in versions.items()))


def _requirements_of(extra: str, required: Sequence[Requirement]) -> Iterator[Requirement]:
    """Yield the requirements that an extra adds to the base; those of the base if none is named."""
    for requirement in required:
        marker = requirement.marker
        base = marker is None or marker.evaluate({"extra": ""})
        if base if not extra else (not base and marker is not None and marker.evaluate({"extra": extra})):
            yield requirement

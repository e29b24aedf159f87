"""Checks the versions of Python and of the installed packages, extra by extra."""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mampctl.doctor.finding import Finding

EXTRA_PURPOSES = {
    "pipeline": "ingest, import and export",
    "trainer": "train and what follows it",
    "export": "export-model",
    "report": "report and show --gif, --png",
    "s3": "buckets, s3://BUCKET/KEY",
}
"""The extras, and the commands that need them."""

FindVersion = Callable[[str], str | None]
"""Returns the version of a package by its name, None where it is not there."""


def check_packages() -> list[Finding]:
    """Hold Python and every package against what mampctl's own metadata asks for."""
    own = metadata("mampctl")
    required = [Requirement(line) for line in own.get_all("Requires-Dist") or ()]
    python = SpecifierSet(own["Requires-Python"])
    return [
        Finding("ok", "mampctl", own["Version"]),
        check_python(platform.python_version(), python),
        check_extra("", required, installed_version),
        *(check_extra(extra, required, installed_version) for extra in EXTRA_PURPOSES),
    ]


def installed_version(name: str) -> str | None:
    """Return an installed package's version; of an extra's, only if Python finds it for an import, too."""
    try:
        found = version(name)
        return found if name in _OTHER_MODULES or find_spec(name) else None
    except (PackageNotFoundError, ModuleNotFoundError, ValueError):
        return None


_OTHER_MODULES = ("google-crc32c", "pyyaml")
"""Packages of the base whose modules are called otherwise; they are imported by now."""


def check_python(found: str, wanted: SpecifierSet) -> Finding:
    """Hold Python's version against what is asked for."""
    if wanted.contains(found, prereleases=True):
        return Finding("ok", "python", found)
    return Finding("problem", "python", f"{found}, expected {wanted}", f"Install into a Python {wanted}.")


def check_extra(extra: str, required: Sequence[Requirement], find: FindVersion) -> Finding:
    """Hold the packages of an extra, or without one of the base, against what is asked for.

    A missing extra is a warning, since its commands alone miss it; a package of an unfit version is a problem.
    """
    about, where = extra or "base", f"mampctl[{extra}]" if extra else "mampctl"
    wanted = list(_requirements_of(extra, required))
    found = {each.name: find(each.name) for each in wanted}
    missing = [name for name, its in found.items() if its is None]
    unfit = [
        f"{each.name} {its}, expected {each.specifier}"
        for each in wanted
        if (its := found[each.name]) is not None and not each.specifier.contains(its, prereleases=True)
    ]
    if not wanted:
        return Finding(
            "warning", about, "the installed mampctl knows no such extra", f"pip install --upgrade '{where}'"
        )
    remedy = f"pip install --upgrade '{where}'" if unfit else f"pip install '{where}'"
    if unfit or (missing and not extra):
        return Finding("problem", about, ", ".join([*unfit, *(f"{name} is missing" for name in missing)]), remedy)
    if missing:
        return Finding("warning", about, f"{', '.join(missing)} missing, needed by {EXTRA_PURPOSES[extra]}", remedy)
    return Finding("ok", about, ", ".join(f"{name} {its}" for name, its in found.items()))


def _requirements_of(extra: str, required: Sequence[Requirement]) -> Iterator[Requirement]:
    """Yield what an extra asks for besides the base; the base's for none."""
    for each in required:
        base = each.marker is None or each.marker.evaluate({"extra": ""})
        if base if not extra else (not base and each.marker is not None and each.marker.evaluate({"extra": extra})):
            yield each

"""What the name of a file says: whether a raw file has it, and if not, why a file that looks like one is left out.

Pure, and the same for all datasets. Names are compared without regard to case, and a raw file may be gzipped.
"""

import re
from posixpath import splitext

from mamp_schemas.errors import printable

GZIP = ".gz"

_PACKED = (GZIP, ".bz2", ".xz", ".zst", ".lz4", ".z", ".lzma")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".rar", ".7z", *_PACKED)
_MEDIA = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pdf")
_DOCUMENT = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|citation|changelog|changes|contents|index|manifest|notes?|info|about|"
    r"requirements|(md5|sha1|sha256|sha512)(sums?)?)([-_. ].*)?",
    re.IGNORECASE,
)
_SYSTEM_FILE = re.compile(r"\._.*|\.ds_store|thumbs\.db|desktop\.ini|\.~lock\..*|~\$.*", re.IGNORECASE)
_COPY = re.compile(r"\s*\(\d+\)$|[ _-]+copy( ?\(?\d+\)?)?$|^copy( \(\d+\))? of ", re.IGNORECASE)

COPY_REASON = "its name is that of a second copy, such as 'NAME (1)': rename it if it is the only one, else remove it"
SAME_CONTENT_REASON = "a second copy: its content is that of the file without '(1)' or 'copy' in its name"
ZIP_REASON = "an archive inside a folder or archive is not opened: give its own path, or unpack it"
PACKED_REASON = "a packed file or archive of a kind that is not opened: unpack it"


def strip_suffix(file_name: str, suffix: str) -> str | None:
    """Return a file's name without its suffix, in any case and with or without `.gz`; None if it ends otherwise.

    Args:
        file_name: a name or path.
        suffix: with its dot, in ASCII.
    """
    lower = file_name.lower()
    for ending in (suffix.lower(), suffix.lower() + GZIP):
        if lower.endswith(ending):
            return file_name[: -len(ending)]
    return None


def name_of_original(path: str) -> str | None:
    """Return the path without the mark of a second copy, such as ` (1)`; None if its name has none.

    Args:
        path: without a suffix.
    """
    folders, slash, name = path.rpartition("/")
    original = _COPY.sub("", name)
    return f"{folders}{slash}{original}" if original not in ("", name) else None


def is_system_file(member: str) -> bool:
    """Return whether a path is that of a file that operating systems and office programs keep beside others."""
    folders, _, name = member.rpartition("/")
    return "__MACOSX" in folders.split("/") or _SYSTEM_FILE.fullmatch(name) is not None


def is_archive(member: str) -> bool:
    """Return whether a file is an archive or packed by its name."""
    return member.lower().endswith(_ARCHIVES)


def is_zip(member: str) -> bool:
    """Return whether a file is a zip archive by its name."""
    return member.lower().endswith(".zip")


def explain_left_out(member: str, suffix: str, form: str, likeness: re.Pattern[str] | None = None) -> str | None:
    """Return why a file that looks like a raw file is none; None for a file that does not look like one.

    Reasons do not name the file, so that files can be listed by reason.

    Args:
        member: the file's path; its name is not that of a raw file.
        suffix: of the dataset's raw files.
        form: of the names of the dataset's raw files, for the reason.
        likeness: matches in names without the suffix that look like those of raw files.
    """
    name = member.rpartition("/")[2]
    if is_system_file(member):
        return None
    lower, suffix = name.lower(), suffix.lower()
    at = lower.rfind(suffix)
    if at < 0:
        if is_archive(name):
            return ZIP_REASON if is_zip(name) else PACKED_REASON
        if likeness is None or likeness.search(name) is None or lower.endswith(_MEDIA) or _DOCUMENT.fullmatch(name):
            return None
        ending = splitext(lower)[1]
        return f"its name ends {f'in {printable(ending)!r}' if ending else 'without a suffix'}, expected {form}"
    ending = lower[at + len(suffix) :]
    if lower.endswith(".icloud"):
        return "a file that has not been downloaded yet: open its folder and download it"
    if _COPY.search(name[:at]) or _COPY.search(ending):
        return COPY_REASON
    if _DOCUMENT.fullmatch(name):
        return None
    if ending.endswith(_ARCHIVES) and ending != GZIP:
        return ZIP_REASON if is_zip(name) else PACKED_REASON
    if ending and ending != GZIP:
        return f"its name ends in '{printable(suffix + ending)}', expected {form}: rename it if it is a raw file"
    return f"its name is not of the form {form}: rename it if it is a raw file"

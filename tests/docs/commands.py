"""The commands of the documentation: found in its fenced blocks, with the reason of each that no test runs."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = {"", "sh", "bash", "shell", "console"}
_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)

NOT_RUN = {
    r"^(make|pip|source|export|#!)": "the suite itself, installations and settings",
    r"^(dask|torchrun|srun|sbatch|if|docker|podman|kubectl|buildah)\b": "several hosts, or programs that are not ours",
    r"\$SHARED|/shared/|tcp://": "several hosts; tests/pipeline/test_engine_remote.py runs a scheduler and workers",
    r"s3://": "a bucket; tests/cli/test_objects.py runs the same commands against a server",
    r"--devices": "several GPUs; tests/cli/test_ranks.py runs several processes",
    r"^mampctl demo": "a minute; tests/test_wheel.py runs it",
    r"\.pth\b": "the authors' files are not distributed here; tests/cli/test_measuring.py makes such files",
    r"^mampctl import": "its files are made by other code; tests/cli/test_convert.py runs it",
}
"""Patterns of commands that are only parsed, and why: a new one that can be run should be."""


@dataclass(frozen=True)
class Command:
    """A command as it stands on a page; `words` without redirections."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        words = shlex.split(self.line)
        return words[: words.index(">")] if ">" in words else words

    @property
    def arguments(self) -> list[str] | None:
        """What `mampctl` is called with, by whatever starts it; None of other programs."""
        words = self.words
        return words[words.index("mampctl") + 1 :] if "mampctl" in words else None

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, self.line)), None)


def find_python(page: Path) -> list[str]:
    """Return the Python examples of a page, in order."""
    return [block for language, block in _BLOCK.findall(page.read_text()) if language == "python"]


def find_commands(page: Path) -> Iterator[Command]:
    """Yield the commands of a page's shell blocks, in order; continued lines are one."""
    for language, block in _BLOCK.findall(page.read_text()):
        if language not in SHELL:
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = re.split(r"(?:^|\s)#(?!!)", line)[0].strip()
            if command:
                yield Command(page.name, command)

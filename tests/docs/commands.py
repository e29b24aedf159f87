"""Commands and Python examples in the fenced blocks of the documentation, and reasons why a command is not run."""

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
    r"^(dask|torchrun|srun|sbatch|if|docker|podman|kubectl|buildah)\b": "several hosts, or other programs",
    r"\$SHARED|/shared/|tcp://": "several hosts; see tests/pipeline/test_ingest_engines_remote.py",
    r"s3://": "a bucket; tests/cli/test_objects.py runs the same commands against a server",
    r"--devices": "several GPUs; tests/cli/test_runtime_distributed.py runs several processes",
    r"^mampctl demo": "a minute; tests/test_wheel.py runs it",
    r"\.pth\b": "the authors' files cannot be distributed; tests/cli/test_measuring.py makes such files",
    r"^mampctl import": "its input comes from other projects; tests/cli/test_convert.py runs it",
}
"""Patterns of commands that are only parsed, each with the reason."""


@dataclass(frozen=True)
class Command:
    """A command of a page."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        """The words of the command without redirections."""
        words = shlex.split(self.line)
        return words[: words.index(">")] if ">" in words else words

    @property
    def arguments(self) -> list[str] | None:
        """The arguments of `mampctl`, also under a launcher; None for other programs."""
        words = self.words
        return words[words.index("mampctl") + 1 :] if "mampctl" in words else None

    @property
    def reason(self) -> str | None:
        """Why the command is not run; None if it is."""
        return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, self.line)), None)


def find_python(page: Path) -> list[str]:
    """Return the Python examples of a page, in order."""
    return [block for language, block in _BLOCK.findall(page.read_text()) if language == "python"]


def find_commands(page: Path) -> Iterator[Command]:
    """Yield the commands of a page's shell blocks, in order; continued lines are joined."""
    for language, block in _BLOCK.findall(page.read_text()):
        if language not in SHELL:
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = re.split(r"(?:^|\s)#(?!!)", line)[0].strip()
            if command:
                yield Command(page.name, command)

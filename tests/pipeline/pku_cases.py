"""PKU-MMD files for tests: made by hand, and the golden ones."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.paths import GOLDEN


def make_video(frames: int, *, bodies: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """Return (frames, 150) coordinates with six decimals; zeros where there is no second body."""
    rng = np.random.default_rng(seed)
    video = np.zeros((frames, 150))
    video[:, : 75 * bodies] = rng.normal(1, 0.5, (frames, 75 * bodies)).round(6)
    return video


def video_text(video: NDArray[np.float64]) -> bytes:
    """Return a video as a skeleton file."""
    return "".join(" ".join(f"{value:.6f}" for value in frame) + "\n" for frame in video).encode()


def label_text(*labels: tuple[int, int, int]) -> bytes:
    """Return (action, start, end) labels as a label file."""
    return "".join(f"{action},{start},{end},2\n" for action, start, end in labels).encode()


def list_text(train: Sequence[str], test: Sequence[str]) -> str:
    """Return a split list."""
    return f"Training videos:\n{', '.join(train)}\nValidation videos:\n{', '.join(test)}\n"


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files by their path inside a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def write_archive(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files into a deflated zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def golden_files(dataset: str) -> dict[str, bytes]:
    """Return a golden dataset's raw files by their path."""
    with zipfile.ZipFile(GOLDEN / dataset / "raw.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}

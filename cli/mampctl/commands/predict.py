"""`mampctl predict`: classify raw files; one JSON line per clip."""

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO

import typer

from mamp_schemas.errors import ExitCode
from mamp_schemas.io.storage_path import parse_storage_path
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, WARNED_NOTES
from mamp_schemas.progress import NullProgress, Progress
from mampctl.defaults import find_layout, select_checkpoint
from mampctl.options import (
    CheckpointArgument,
    CheckpointOption,
    DeviceOption,
    LayoutOption,
    PolicyOption,
    ReleasedRecipeOption,
)
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_pipeline.datasets.clips import Clip
    from mamp_pipeline.ingest.read_files import FileClips
    from mamp_schemas.models.store import QuarantinedFile
    from mamp_trainer.protocols.predictions import Predictor

logger = logging.getLogger(__name__)


BATCH_LINES = 32
"""Lines whose clips are classified and written together: few enough that lines come soon on a CPU."""


class _OutputLine(NamedTuple):
    """A line of output and the clip to classify; without a clip the line reports a fault."""

    content: dict[str, object]
    clip: "Clip | None"


def predict(
    checkpoint: CheckpointArgument,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Raw files, folders and zip archives of them.")],
    recipe: ReleasedRecipeOption = None,
    at: CheckpointOption = None,
    policy: PolicyOption = None,
    layout: LayoutOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to print, the most probable first.")] = 5,
    device: DeviceOption = "auto",
) -> None:
    """Classify raw files: one JSON line per clip.

    A line has the most probable classes, or the reason why a file gave no clip.
    """
    with needed_extras():
        from mamp_pipeline.datasets.base import find_reader
        from mamp_pipeline.datasets.discover import find_unnamed
        from mamp_pipeline.ingest.read_files import read_files
        from mamp_trainer.checkpoints.provenance import read_training_policy
        from mamp_trainer.protocols.networks import trained_recipe
        from mamp_trainer.protocols.predictions import Predictor

    checkpoint = select_checkpoint(checkpoint, at)
    trained = trained_recipe(checkpoint, recipe)
    described = find_layout(trained.dataset, layout)
    reader, spec = find_reader(trained.dataset, described), dataset_spec(trained.dataset, described)
    cleaning = spec.policy(read_training_policy(checkpoint, policy))
    # While bars are shown, sys.stdout is replaced by one that writes to the terminal.
    out = sys.stdout
    with _progress_unless_terminal(out) as progress:
        predictor = Predictor.load(checkpoint, trained, spec, cleaning.empty_slot, device)
        found = find_unnamed([parse_storage_path(path) for path in paths], reader)
        if found.other:
            others = "other file does" if found.other == 1 else "other files do"
            logger.info(f"{found.other:,} {others} not look like raw files of {spec.title}: not read")
        progress.start("predict", len(found.sources), "files")
        faults, counts = 0, Counter[str]()
        for lines in batches(found.problems, read_files(found.sources, reader, cleaning), progress, counts):
            _write_batch(lines, predictor, spec.class_names, top, out)
            faults += sum(line.clip is None for line in lines)
        for note in WARNED_NOTES:
            if counts[note]:
                logger.warning(f"{counts[note]:,} {NOTE_DESCRIPTIONS[note]}")
        if faults:
            logger.info(f"{faults:,} files or labels gave no clip: their lines have an error")
    if faults:
        raise typer.Exit(ExitCode.FAILED)


def _progress_unless_terminal(out: TextIO) -> AbstractContextManager[Progress]:
    # On a terminal the lines themselves show the progress.
    return nullcontext(NullProgress()) if out.isatty() else show_progress()


def batches(
    problems: "Sequence[QuarantinedFile]", files: "Iterator[FileClips]", progress: Progress, counts: Counter[str]
) -> Iterator[list[_OutputLine]]:
    """Yield batches of at least `BATCH_LINES` lines, the last may have fewer; lines of one file stay together.

    Args:
        problems: files without clips, whose lines come first.
        files: what was read of each file.
        progress: counts files.
        counts: is given what reading the files counted.
    """
    lines = [_error_line(problem) for problem in problems]
    for file in files:
        lines += [_OutputLine({"clip": info.id, "file": file.source.location}, clip) for info, clip in file.clips]
        lines += [_error_line(problem) for problem in file.problems()]
        counts.update(file.counts)
        progress.advance(1)
        if len(lines) >= BATCH_LINES:
            yield lines
            lines = []
    yield lines


def _error_line(problem: "QuarantinedFile") -> _OutputLine:
    return _OutputLine({"file": problem.file, "line": problem.line, "error": problem.reason}, None)


def _write_batch(
    lines: Sequence[_OutputLine], predictor: "Predictor", names: Sequence[str], top: int, out: TextIO
) -> None:
    """Classify the clips of some lines and write the lines; a signal is handled once they are written."""
    from mamp_schemas.signals import interruptible
    from mamp_trainer.data.dataset import Recording
    from mamp_trainer.protocols.predictions import top_classes

    recordings = [Recording(line.clip.joints, line.clip.valid_frames) for line in lines if line.clip]
    predicted = iter(top_classes(predictor.logits(recordings), top) if recordings else ())
    texts = []
    for line in lines:
        content = line.content
        if line.clip:
            predictions = [
                {"label": label, "name": names[label], "probability": probability}
                for label, probability in next(predicted)
            ]
            content = {**content, "predictions": predictions}
        texts.append(json.dumps(content) + "\n")
    with interruptible() as check_interrupt:
        out.write("".join(texts))
        out.flush()
        check_interrupt()

"""`mampctl predict`: what a trained classifier says of raw files, a JSON line a clip."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO

import typer

from mamp_schemas.classes import class_names
from mamp_schemas.layout import dataset_spec
from mamp_schemas.places import parse_local_path, parse_storage_path
from mamp_schemas.policy import PolicyName, make_policy
from mamp_schemas.progress import Progress
from mampctl.extras import needed_extras
from mampctl.ingest import find_layout
from mampctl.progress import MessagesOnly, show_progress
from mampctl.training import DeviceOption

if TYPE_CHECKING:
    from mamp_pipeline.build.unstored import FileClips
    from mamp_pipeline.raw.bodies import Clip
    from mamp_trainer.predictor import Predictor

EXIT_FAILED = 1
BATCH_LINES = 32
"""Lines that are written together, their clips classified as one: few enough that lines come soon, on a CPU too."""

CheckpointArgument = Annotated[
    Path,
    typer.Argument(
        parser=parse_local_path, metavar="CHECKPOINT", help="A run's folder, one of its checkpoints, or a released .pth."
    ),
]
ReleasedRecipeOption = Annotated[
    str | None, typer.Option("--recipe", help="Of a released .pth: its recipe's name, or a YAML file.")
]
PolicyOption = Annotated[
    PolicyName | None,
    typer.Option(help="Of released files and imported stores: how clips are cleaned. [default: as the run's; paper]"),
]
LayoutOption = Annotated[str | None, typer.Option(help="Of own recordings: their layout, as in ingest.")]


class _OutputLine(NamedTuple):
    """A line to be written, and the clip whose prediction it is to tell; None where it tells a fault."""

    content: dict[str, object]
    clip: "Clip | None"


def predict(
    checkpoint: CheckpointArgument,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Raw files, folders and zip archives of them.")],
    recipe: ReleasedRecipeOption = None,
    policy: PolicyOption = None,
    layout: LayoutOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to tell, the most probable first.")] = 5,
    device: DeviceOption = "auto",
) -> None:
    """Name the actions in raw skeleton files: a JSON line a clip, with the most probable classes."""
    with needed_extras():
        from mamp_pipeline.build.unstored import find_files, read_files
        from mamp_trainer.classifiers import trained_recipe
        from mamp_trainer.origin import read_training_policy
        from mamp_trainer.predictor import Predictor

    trained = trained_recipe(checkpoint, recipe)
    described = find_layout(trained.dataset, layout)
    spec = dataset_spec(trained.dataset, described)
    cleaning = make_policy(read_training_policy(checkpoint, policy), trained.dataset)
    # While bars are shown, what is written to sys.stdout would go to the terminal, wherever it is to go.
    out = sys.stdout
    with _progress_beside(out) as progress:
        predictor = Predictor.load(checkpoint, trained, spec, cleaning.empty_slot, device, progress)
        sources = find_files([parse_storage_path(path) for path in paths], trained.dataset, described, progress)
        progress.start("predict", len(sources), "files")
        faults = 0
        names = class_names(trained.dataset, described)
        for lines in _batches(read_files(sources, trained.dataset, cleaning, described), progress):
            _write_batch(lines, predictor, names, top, out)
            faults += sum(line.clip is None for line in lines)
        if faults:
            progress.message(f"{faults:,} files or labels gave no clip: their lines have an error")
    if faults:
        raise typer.Exit(EXIT_FAILED)


def _progress_beside(out: TextIO) -> AbstractContextManager[Progress]:
    # The lines themselves run over the screen: a bar would be in their way.
    return nullcontext(MessagesOnly()) if out.isatty() else show_progress()


def _batches(files: "Iterator[FileClips]", progress: Progress) -> Iterator[list[_OutputLine]]:
    """Gather what files give, until there are enough lines for a batch; a video's stay together."""
    lines: list[_OutputLine] = []
    for file in files:
        place = file.source.location
        lines += [_OutputLine({"clip": info.id, "file": place}, clip) for info, clip in file.clips]
        lines += [_OutputLine({"file": fault.file, "line": fault.line, "error": fault.reason}, None) for fault in file.problems]
        progress.advance(1)
        if len(lines) >= BATCH_LINES:
            yield lines
            lines = []
    yield lines


def _write_batch(lines: Sequence[_OutputLine], predictor: "Predictor", names: Sequence[str], top: int, out: TextIO) -> None:
    """Classify the clips among some lines, and write all of these; a signal waits until they are written."""
    from mamp_trainer.data.unstored import Recording
    from mamp_trainer.predictor import top_classes
    from mamp_trainer.runtime import interruptible

    recordings = [Recording(line.clip.joints, line.clip.valid_frames) for line in lines if line.clip]
    told = iter(top_classes(predictor.logits(recordings), top) if recordings else ())
    texts = []
    for line in lines:
        content = line.content
        if line.clip:
            predictions = [
                {"label": label, "name": names[label], "probability": probability} for label, probability in next(told)
            ]
            content = {**content, "predictions": predictions}
        texts.append(json.dumps(content) + "\n")
    with interruptible() as pause:
        out.write("".join(texts))
        out.flush()
        pause()

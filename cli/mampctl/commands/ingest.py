"""`mampctl ingest`: make a store from raw files."""

import logging
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperArgument, TyperCommand

from mamp_schemas.errors import ExitCode, RawInputError, UsageError, exit_code
from mamp_schemas.io.storage_path import StoragePath, parse_storage_path
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.policy import PolicyName
from mamp_schemas.models.store import StoreMetadata
from mamp_schemas.registry import DATASETS
from mampctl.defaults import default_store, find_layout
from mampctl.options import JsonOption, complete_dataset, path_option
from mampctl.output.console import count, count_quarantined, print_interrupted, print_json, print_line, print_summary
from mampctl.output.hints import print_hint, suggest_next_command
from mampctl.output.progress import show_progress

if TYPE_CHECKING:
    from mamp_pipeline.ingest.engines.base import Workers
    from mamp_pipeline.ingest.request import IngestRequest

logger = logging.getLogger(__name__)


class IngestCommand(TyperCommand):
    """The command whose help lists the registered datasets, looked up when the help is shown."""

    def get_help(self, ctx: Any) -> str:
        """Return the help with the names of all datasets, none of which is imported for it."""
        for parameter in self.params:
            if parameter.name == "dataset" and isinstance(parameter, TyperArgument):
                parameter.help = f"The dataset that the raw files are of: {', '.join(DATASETS.names())}."
        return super().get_help(ctx)


def ingest(
    dataset: Annotated[
        str, typer.Argument(help="The dataset that the raw files are of.", autocompletion=complete_dataset)
    ],
    raw: Annotated[
        list[str],
        typer.Option(metavar="PATH", help="A folder or zip archive of raw files, or a single raw file. Repeatable."),
    ],
    out: Annotated[
        str | None, typer.Option(metavar="PATH", help="The store. [default: $MAMPCTL_DATA/DATASET.zarr]")
    ] = None,
    exclude: Annotated[
        Path | None,
        path_option("A list of clips to leave out, one name a line, such as the official missing-skeleton list."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="The layout of own recordings: a built-in layout's name, or a YAML file.")
    ] = None,
    policy: Annotated[
        PolicyName,
        typer.Option(
            help="How clips are cleaned. paper: as the authors' scripts; corrected: without their accidental behaviour."
        ),
    ] = "paper",
    append: Annotated[
        bool, typer.Option("--append", help="Add these raw files to the finished store at --out.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; 0 works in this process. [default: one per core]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Use the workers of this Dask scheduler instead: tcp://HOST:PORT.")
    ] = None,
    compression: Annotated[
        Literal["none", "zstd"] | None,
        typer.Option(
            help="Compression of a new store; zstd saves a fifth of the space and is slower to read. [default: none]"
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 3 when files were quarantined.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a store from raw files.

    Files that cannot be read are quarantined with the reason.

    Raw files and the store may be in a bucket: s3://BUCKET/KEY, with endpoint and credentials from AWS_... variables.

    After an interruption, run the same command again: it continues where it stopped.
    """
    request = _make_request(dataset, raw, out, exclude, layout, policy, append, compression)
    metadata = _run(request, _choose_workers(workers, scheduler), says_where=out is None)
    if as_json:
        print_json(metadata.model_dump(mode="json"))
    else:
        _print_result(request.out, metadata)
    _check_result(request.out, metadata, strict)


def _make_request(
    dataset: str,
    raw: Sequence[str],
    out: str | None,
    exclude: Path | None,
    layout: str | None,
    policy: PolicyName,
    append: bool,
    compression: Literal["none", "zstd"] | None,
) -> "IngestRequest":
    """Return the request that the options describe.

    Raises:
        UsageError: options that exclude each other, or no such dataset or path.
        ConfigError: the layout is not valid.
    """
    from mamp_pipeline.ingest.request import IngestRequest

    if append and compression:
        raise UsageError(
            "--compression is for a new store: --append writes rows as the store has them", remedy="Leave it out."
        )
    described = find_layout(dataset, layout)
    return IngestRequest(
        dataset,
        tuple(map(parse_storage_path, raw)),
        parse_storage_path(out) if out else default_store(dataset),
        dataset_spec(dataset, described).policy(policy),
        exclude,
        append=append,
        compression=compression or "none",
        layout=described,
    )


def _run(request: "IngestRequest", pool: "Workers", says_where: bool) -> StoreMetadata:
    from mamp_pipeline.ingest.run import ingest as run

    try:
        with show_progress() as progress:
            if says_where:
                logger.info(f"writing to {request.out}")
            return run(request, progress, pool)
    except KeyboardInterrupt as stop:
        print_interrupted("run the same command again, it continues where it stopped")
        raise typer.Exit(exit_code(stop)) from None


def _check_result(store: StoragePath, metadata: StoreMetadata, strict: bool) -> None:
    """Raise if files were quarantined and the command is strict, or if no clip is left."""
    if strict and metadata.counts.quarantined:
        raise typer.Exit(ExitCode.QUARANTINED)
    if not metadata.counts.clips:
        raise RawInputError(
            f"no clip is left: all of {count_quarantined(metadata)} quarantined",
            remedy=f"Correct them, and run the same command again; the reasons: mampctl info {quote(str(store))}",
        )


def _choose_workers(count: int | None, scheduler: str | None) -> "Workers":
    from mamp_pipeline.ingest.engines.base import Workers
    from mamp_schemas.system import count_cores

    if scheduler and count is not None:
        raise UsageError("--workers and --scheduler exclude each other", remedy="Give one of them.")
    return Workers(count_cores() if count is None else count, scheduler)


def _print_result(store: StoragePath, metadata: StoreMetadata) -> None:
    counts = metadata.counts
    left_out = f", {counts.left_out:,} left out" if counts.left_out else ""
    print_summary(
        store,
        f"{count(counts.clips, 'clip')}, {count(counts.rows, 'row')}, "
        f"{count_quarantined(metadata)} quarantined{left_out}",
    )
    print_line(f"content hash {metadata.content_hash[:16]}")
    for entry in metadata.quarantined[:10]:
        print_line(f"  quarantined {entry.file}{f', line {entry.line}' if entry.line else ''}: {entry.reason}")
    if counts.quarantined > 10:
        print_line(f"  and {counts.quarantined - 10:,} more: mampctl info {quote(str(store))}")
    for group in metadata.left_out[:10]:
        for line in group.lines(5):
            print_line(f"  {line}")
    if len(metadata.left_out) > 10:
        print_line(f"  and {len(metadata.left_out) - 10} more reasons: mampctl info {quote(str(store))}")
    if counts.clips:
        from mamp_schemas.io.store_reader import open_store

        print_hint(*suggest_next_command(open_store(store)))

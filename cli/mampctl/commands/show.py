"""`mampctl show`: show one clip as text, as a page that plays it, or as a picture."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from mamp_schemas.io.storage_path import parse_storage_path
from mampctl.options import JsonOption, StoreArgument, complete_clip, path_option
from mampctl.output.console import print_json, print_line, print_summary
from mampctl.output.hints import print_hint
from mampctl.runtime.errors import needed_extras

_MATPLOTLIB_VARIABLE = "MPLCONFIGDIR"


def show(
    store: StoreArgument,
    clip: Annotated[str, typer.Argument(help="The clip's id.", autocompletion=complete_clip)],
    html: Annotated[Path | None, path_option("Write an HTML page that plays it.")] = None,
    gif: Annotated[Path | None, path_option("Write an animated GIF.")] = None,
    png: Annotated[
        Path | None,
        path_option("Write a picture of the frame with the most motion."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one clip: its motion and a mask.

    The mask is motion-aware, as in pre-training.
    """
    from mamp_pipeline.report.clip_view import clip_summary, find_clip, summary_lines, view_clip
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(parse_storage_path(store))
    view = view_clip(opened, find_clip(opened, clip))
    skeleton = opened.metadata.skeleton
    made: list[tuple[Path, bytes]] = []
    if html:
        from mamp_pipeline.report.clip_view import pack_clip
        from mamp_pipeline.report.html import pack_skeleton, render_clip_page

        data = {"skeleton": pack_skeleton(skeleton), "clip": pack_clip(view, skeleton)}
        made.append((html, render_clip_page(view.id, data).encode()))
    if gif or png:
        with needed_extras(), _temporary_matplotlib_cache():
            from mamp_pipeline.report.figures import render_gif, render_png
        made += [(out, make(view, skeleton)) for out, make in ((gif, render_gif), (png, render_png)) if out]
    sizes = _write_files(made)
    if as_json:
        print_json({**clip_summary(view, skeleton), "files": sizes})
        return
    for out, size in sizes.items():
        print_summary(out, f"{size / 1e3:,.0f} kB")
    if not made:
        for name, text in summary_lines(view, skeleton):
            print_line(f"{name:<10} {text}")
        print_hint("show", store, clip, "--html", "clip.html")


@contextmanager
def _temporary_matplotlib_cache() -> Iterator[None]:
    """Give matplotlib a temporary folder for its font cache while it is imported; the default is in the home folder."""
    if os.environ.get(_MATPLOTLIB_VARIABLE):
        yield
        return
    with TemporaryDirectory(prefix="mampctl-matplotlib-") as folder:
        os.environ[_MATPLOTLIB_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[_MATPLOTLIB_VARIABLE]


def _write_files(made: list[tuple[Path, bytes]]) -> dict[str, int]:
    """Write the files; return the size of each in bytes."""
    from mamp_schemas.io.atomic import write_file

    return {str(out): write_file(out, content, make_parents=True) for out, content in made}

"""A PKU-MMD video read: its skeletons, and an instance of them for each line of its labels."""

from dataclasses import replace

from mamp_pipeline.raw.bodies import ClipInfo, RawClip, RawSegment
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.pku import parse_labels, parse_video
from mamp_pipeline.raw.reading import read_source
from mamp_schemas.errors import RawFileError


def read_video_clips(source: RawSource, info: ClipInfo) -> list[RawClip]:
    """Read a video and its labels.

    Args:
        source: a video with what belongs to it.
        info: what its name says.

    Returns:
        What each clip is made from, in order of id `VIDEO_INDEX`; INDEX is the label's 0-based place in its file,
        counting those that give no clip.

    Raises:
        RawFileError: labels or skeletons are missing, or the skeletons are damaged.
    """
    facts = source.video
    if facts is None or facts.labels is None:
        raise RawFileError(facts.problem if facts else "a video without its labels")
    info = replace(info, xsub=facts.xsub, xview=facts.xview)
    try:
        actions = parse_labels(read_source(facts.labels))
    except RawFileError as problem:
        return [RawClip(info, problem, facts.labels)]
    if not actions:
        return [RawClip(info, RawFileError("no label in the file"), facts.labels)]
    video = parse_video(read_source(source))
    clips = []
    for index, action in enumerate(actions):
        own = replace(info, id=f"{source.id}_{index}")
        if isinstance(action, RawFileError):
            clips.append(RawClip(own, action, facts.labels))
        else:
            content = RawSegment(video, action.start, action.end, action.line)
            clips.append(RawClip(replace(own, label=action.label), content, facts.labels))
    return sorted(clips, key=lambda clip: clip.info.id)

"""The raw format of each dataset by name, and which clips belong to which dataset."""

from functools import partial

from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.datasets.custom.recordings import parse_recording_path, read_recording
from mamp_pipeline.datasets.ntu.dataset import NTU_FORMAT, NTU_SETUPS_AND_ACTIONS
from mamp_pipeline.datasets.nwucla import parse_nwucla_name, read_nwucla_clip
from mamp_pipeline.datasets.pku.dataset import video_format
from mamp_pipeline.datasets.raw_format import RawFormat, single_clip_format
from mamp_schemas.models.dataset import DatasetName, KnownDatasetName, require_known_dataset
from mamp_schemas.models.layout import Layout

RAW_FORMATS: dict[KnownDatasetName, RawFormat] = {
    "ntu60": NTU_FORMAT,
    "ntu120": NTU_FORMAT,
    "pku1": video_format("pku1"),
    "pku2": video_format("pku2"),
    "nwucla": single_clip_format("aAA_sSS_eEE_vVV.json", parse_nwucla_name, read_nwucla_clip),
}


def raw_format(dataset: DatasetName, layout: Layout | None = None) -> RawFormat:
    """Return a dataset's raw format: own recordings have the one their layout describes.

    Raises:
        UsageError: own recordings without a layout.
    """
    if layout is None:
        return RAW_FORMATS[require_known_dataset(dataset)]
    suffix = layout.files.suffix
    return RawFormat(
        f"*{suffix}", suffix, partial(parse_recording_path, suffix), lambda source, _: read_recording(source, layout)
    )


def belongs_to(dataset: DatasetName, info: ClipInfo) -> bool:
    """Whether a clip is one of the dataset's: NTU-60 and NTU-120 share a format, and one archive may hold both.

    NTU-60 has setups 1-17 and actions 1-60, NTU-120 setups 1-32 and actions 1-120.
    """
    if dataset not in NTU_SETUPS_AND_ACTIONS:
        return True
    setups, actions = NTU_SETUPS_AND_ACTIONS[dataset]
    return info.setup in setups and info.label in actions

import errno
import itertools
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.datasets.ntu.dataset import parse_ntu_name
from mamp_pipeline.datasets.ntu.parse import parse_ntu
from mamp_pipeline.synth.ntu import SynthDataset, make_clip_text, plan_clips, synthesise
from mamp_schemas.datasets.ntu import NTU60
from mamp_schemas.errors import OutputError, UsageError
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.skeleton import KINECT_V2
from tests.pipeline.cleaning_cases import parse_naively

FEW = {"clips": 4, "classes": 2, "setups": 2, "subjects": 2, "seed": 3}


def _info(action: int, subject: int = 1, camera: int = 2, replication: int = 1) -> ClipInfo:
    clip_id = f"S001C{camera:03}P{subject:03}R{replication:03}A{action:03}"
    return ClipInfo(clip_id, action - 1, subject, camera, 1, replication)


def _many_texts() -> list[bytes]:
    return [make_clip_text(_info(action, camera=camera), 0) for action in (1, 20, 40, 55) for camera in (1, 2, 3)]


@given(
    st.sampled_from(("ntu60", "ntu120")),
    st.integers(1, 60),
    st.integers(2, 17),
    st.integers(2, 40),
    st.integers(1, 500),
)
@settings(max_examples=60, deadline=None)
def test_list_clips__valid_distinct_names(
    dataset: SynthDataset, classes: int, setups: int, subjects: int, clips: int
) -> None:
    room = classes * subjects * 6 * (setups if dataset == "ntu60" else setups // 2)
    infos = plan_clips(dataset, clips=min(clips, room), classes=classes, setups=setups, subjects=subjects)
    assert len({info.id for info in infos}) == min(clips, room)
    assert all(find_reader(dataset).parse_path(f"{info.id}.skeleton") == info for info in infos)
    assert max(Counter(info.label for info in infos).values()) <= -(-len(infos) // classes)


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_list_clips__every_protocol_has_both_sides(dataset: SynthDataset) -> None:
    infos = plan_clips(dataset, clips=40, classes=4, setups=4, subjects=4)
    for protocol in dataset_spec(dataset).protocols:
        sides = Counter(protocol.split_of(getattr(info, protocol.column)) for info in infos)
        assert min(sides["train"], sides["test"]) >= 10


def test_list_clips__later_actions_are_in_later_setups() -> None:
    infos = plan_clips("ntu120", clips=200, classes=20, setups=8, subjects=6)
    assert {info.setup for info in infos if info.label < 60} == {1, 2, 3, 4}
    assert {info.setup for info in infos if info.label >= 60} == {18, 19, 20, 21}


def test_list_clips__every_name_can_be_used() -> None:
    infos = plan_clips("ntu60", clips=2 * 3 * 6 * 2, classes=2, setups=2, subjects=3)
    assert len({info.id for info in infos}) == 72


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clips": 0}, "clips: expected 1 to 48, got 0"),
        ({"clips": 49}, "clips: expected 1 to 48, got 49"),
        ({"classes": 61}, "classes: expected 1 to 60, got 61"),
        ({"setups": 18}, "setups: expected 1 to 17, got 18"),
        ({"subjects": 1}, "subjects: expected 2 to 40, got 1"),
    ],
)
def test_list_clips__out_of_range(change: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_clips("ntu60", **{"clips": 4, "classes": 2, "setups": 2, "subjects": 2, **change})


def test_make_clip_text__depends_on_clip_and_seed_alone() -> None:
    assert make_clip_text(_info(7), 1) == make_clip_text(_info(7), 1)
    texts = {make_clip_text(info, seed) for info in (_info(7), _info(8), _info(7, camera=3)) for seed in (1, 2)}
    assert len(texts) == 6


def test_make_clip_text__reads_back() -> None:
    for action, seed in itertools.product((1, 55), range(4)):
        info = _info(action)
        again, raw = parse_ntu_name(f"{info.id}.skeleton"), parse_ntu(make_clip_text(info, seed))
        assert again == info
        assert 40 <= raw.frames <= 120
        clip = make_clip(raw, dataset_spec("ntu60").paper_policy, KINECT_V2)
        assert len(clip.joints) == (2 if action == 55 else 1)


def test_make_clip_text__real_quirks_occur() -> None:
    texts = _many_texts()
    together = b"".join(texts)
    assert 0 < sum(b"\r\n" in text for text in texts) < len(texts)
    assert b"E-05 " in together
    assert b"e-" not in together
    assert all(number == b"%.7G" % float(number) for text in texts for number in text.split(b"\n")[4].split()[:3])


def test_make_clip_text__gaps_returns_and_phantoms_occur() -> None:
    empty = returning = phantoms = 0
    for seed in range(60):
        raw = parse_naively(make_clip_text(_info(55), seed))
        shares = [raw.frame[raw.body_id == body] for body in np.unique(raw.body_id)]
        assert raw.body_id.min() > 2**53
        empty += len(np.unique(raw.frame)) < raw.frames
        returning += any(np.diff(share).max() > 1 for share in shares)
        phantoms += any(len(share) <= 11 for share in shares)
    assert min(returning, phantoms) > 0
    alone = [parse_naively(make_clip_text(_info(1), seed)) for seed in range(60)]
    assert any(len(np.unique(raw.frame)) < raw.frames for raw in alone)


def test_make_clip_text__a_standing_person_three_metres_away() -> None:
    joints = parse_naively(make_clip_text(_info(1), 0)).joints
    assert 2 < np.median(joints[:, 0, 2]) < 4
    assert 1.2 < np.median(np.ptp(joints[:, :, 1], axis=1)) < 2.2


def test_make_clip_text__a_linear_classifier_tells_classes_of_unseen_subjects() -> None:
    infos = plan_clips("ntu60", clips=120, classes=6, setups=2, subjects=10)
    features, labels, train = [], [], []
    for info in infos:
        clip = make_clip(parse_naively(make_clip_text(info, 0)), dataset_spec("ntu60").paper_policy, KINECT_V2)
        body = clip.joints[0] - clip.joints[0][:, :1]
        features.append(np.concatenate((body.mean(axis=0).ravel(), body.std(axis=0).ravel(), [1])))
        labels.append(info.label)
        train.append(NTU60.protocol("xsub").split_of(info.subject) == "train")
    x, seen = np.array(features, dtype=np.float64), np.array(train)
    classes, y = np.unique(labels, return_inverse=True)
    weights = np.linalg.solve(
        x[seen].T @ x[seen] + 1e-2 * np.eye(x.shape[1]), x[seen].T @ np.eye(len(classes))[y[seen]]
    )
    assert np.mean((x[~seen] @ weights).argmax(axis=1) == y[~seen]) > 0.8


def test_synthesise__folder_and_archive_hold_the_same(tmp_path: Path) -> None:
    synthesise("ntu60", tmp_path / "deep" / "raw", **FEW)
    synthesise("ntu60", tmp_path / "raw.zip", **FEW)
    files = {path.name: path.read_bytes() for path in (tmp_path / "deep" / "raw").iterdir()}
    with zipfile.ZipFile(tmp_path / "raw.zip") as archive:
        assert files == {name: archive.read(name) for name in archive.namelist()}
    assert len(files) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "raw.zip"}


def test_synthesise__same_seed_same_archive(tmp_path: Path) -> None:
    synthesise("ntu60", tmp_path / "a.zip", **FEW)
    synthesise("ntu60", tmp_path / "b.zip", **FEW)
    synthesise("ntu60", tmp_path / "c.zip", **{**FEW, "seed": 4})
    first = (tmp_path / "a.zip").read_bytes()
    assert first == (tmp_path / "b.zip").read_bytes()
    assert first != (tmp_path / "c.zip").read_bytes()


def test_synthesise__empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    synthesise("ntu60", tmp_path / "raw", **FEW)
    assert len(list((tmp_path / "raw").iterdir())) == 4


def test_synthesise__folder_that_holds_something(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not an empty folder"):
        synthesise("ntu60", _touch(tmp_path / "raw" / "kept").parent, **FEW)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["kept"]


def test_synthesise__archive_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "raw.zip").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        synthesise("ntu60", tmp_path / "raw.zip", **FEW)


@pytest.mark.parametrize("name", ["file/raw.zip", "file/deeper/raw"])
def test_synthesise__file_in_the_way(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / "file")
    with pytest.raises(OutputError, match="file"):
        synthesise("ntu60", tmp_path / name, **FEW)


@pytest.mark.parametrize("name", ["raw", "raw.zip"])
def test_synthesise__full_disk_leaves_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter((b"first", b"second"))

    def write_until_full(info: ClipInfo, seed: int) -> bytes:
        for text in made:
            return text
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mamp_pipeline.synth.ntu.make_clip_text", write_until_full)
    with pytest.raises(OutputError, match="No space left"):
        synthesise("ntu60", tmp_path / name, **FEW)
    assert list(tmp_path.iterdir()) == []


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_synthesise__never_replaces_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "nturgbd_skeletons_s001_to_s017.zip"
    archive.write_bytes(b"gigabytes")
    with pytest.raises(OutputError, match="already exists"):
        synthesise("ntu60", archive, **FEW)
    assert archive.read_bytes() == b"gigabytes"

"""PKU-MMD's split lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamp_pipeline.datasets.pku.discover import SplitList, detect_protocol, parse_split_list
from mamp_schemas.errors import RawInputError
from tests.paths import SHARED_DATA
from tests.pipeline.pku_cases import list_text

SUBJECTS = SplitList(frozenset({"0002-L", "0002-M", "0002-R"}), frozenset({"0003-L", "0003-M", "0003-R"}))
VIEWS = SplitList(frozenset({"0002-M", "0002-R", "0003-M", "0003-R"}), frozenset({"0002-L", "0003-L"}))

videos = st.tuples(st.integers(0, 9999), st.sampled_from("LMR")).map(lambda parts: f"{parts[0]:04d}-{parts[1]}")


@given(
    names=st.lists(videos, min_size=1, max_size=30, unique=True),
    cut=st.integers(0, 30),
    headers=st.tuples(
        st.sampled_from(("Training videos:", "Training videos: ", "train", "Training set")),
        st.sampled_from(("Validation videos:", "Validataion videos: ", "test", "Testing:")),
    ),
    joint=st.sampled_from((", ", ",", " ", "\n", ",\n")),
    end=st.sampled_from(("\n", "\r\n", "\n\n")),
    tail=st.sampled_from(("", "\n", ", \n", "\n\n")),
    swapped=st.booleans(),
)
def test_parse_split_list__any_writing_of_it(
    names: list[str], cut: int, headers: tuple[str, str], joint: str, end: str, tail: str, swapped: bool
) -> None:
    sides = [(headers[0], names[:cut]), (headers[1], names[cut:])]
    if swapped:
        sides.reverse()
    text = end.join(part for header, side in sides for part in (header, joint.join(side))) + tail
    assert parse_split_list(text, "pku1", "list") == SplitList(frozenset(names[:cut]), frozenset(names[cut:]))


def test_parse_split_list__names_behind_the_header() -> None:
    text = "Training videos: 0002-L, 0002-M\nValidation videos: 0003-L"
    assert parse_split_list(text, "pku1", "list") == SplitList(frozenset({"0002-L", "0002-M"}), frozenset({"0003-L"}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Some notes.\nSee 0002-L for an example of a clip.",
        "0002-L, 0002-M",
        list_text(["A01N01-L"], ["A02N01-L"]),
        "Training videos:\n0002-L\n",
        "Training videos:\n0002-L\nValidation videos:\n0003-L\nTest videos:\n0004-L\n",
        "23,22,75,2\n41,106,166,2\n",
    ],
    ids=["empty", "notes", "no header", "other phase", "one side", "three sides", "labels"],
)
def test_parse_split_list__something_else(text: str) -> None:
    assert parse_split_list(text, "pku1", "list") is None


def test_parse_split_list__word_among_the_names() -> None:
    with pytest.raises(RawInputError, match=r"a/list\.txt, line 2: '0002-X' is no video"):
        parse_split_list(list_text(["0002-L", "0002-X", "0002-M"], ["0003-L"]), "pku1", "a/list.txt")


def test_parse_split_list__video_on_both_sides() -> None:
    with pytest.raises(RawInputError, match="1 videos are in both splits, the first is 0003-L"):
        parse_split_list(list_text(["0002-L", "0003-L"], ["0003-L"]), "pku1", "list")


@pytest.mark.parametrize("name", ["cross-subject.txt", "cross_subject_v2.txt", "list.txt", "Xsub.txt"])
def test_tell_protocol__subjects(name: str) -> None:
    assert detect_protocol(SUBJECTS, name, name) == "xsub"


@pytest.mark.parametrize("name", ["cross-view.txt", "cross_view_v2.txt", "list.txt", "XView.txt"])
def test_tell_protocol__views(name: str) -> None:
    assert detect_protocol(VIEWS, name, name) == "xview"


@pytest.mark.parametrize(
    "split", [SplitList(frozenset({"0002-L"}), frozenset({"0003-M"})), SplitList(VIEWS.train, VIEWS.train)]
)
def test_tell_protocol__the_name_where_the_content_does_not_tell(split: SplitList) -> None:
    assert detect_protocol(split, "cross_view.txt", "") == "xview"
    assert detect_protocol(split, "cross_subject.txt", "") == "xsub"


def test_tell_protocol__neither_tells() -> None:
    with pytest.raises(RawInputError, match=r"raw/list\.txt: a split list that shows neither"):
        detect_protocol(SplitList(frozenset({"0002-L"}), frozenset({"0003-M"})), "list.txt", "raw/list.txt")


def test_tell_protocol__name_and_content_contradict_each_other() -> None:
    with pytest.raises(
        RawInputError, match="named like a cross-view list, but its splits are those of a cross-subject"
    ):
        detect_protocol(SUBJECTS, "cross-view.txt", "cross-view.txt")


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the real lists, which are not in the repository")
@pytest.mark.parametrize(
    ("name", "protocol", "sizes"),
    [("pku2_cross_subject.txt", "xsub", (775, 234)), ("pku2_cross_view.txt", "xview", (671, 338))],
)
def test_parse_split_list__the_real_ones(name: str, protocol: str, sizes: tuple[int, int]) -> None:
    split = parse_split_list((SHARED_DATA / name).read_text(), "pku2", name)
    assert split is not None
    assert (len(split.train), len(split.test)) == sizes
    assert detect_protocol(split, "list.txt", name) == protocol

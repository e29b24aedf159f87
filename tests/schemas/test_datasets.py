"""Datasets, skeletons and policies say what reference.md says."""

import pytest
from pydantic import ValidationError

from mamp_schemas.datasets.ntu import NTU60, NTU120
from mamp_schemas.datasets.nwucla import NWUCLA
from mamp_schemas.errors import UsageError
from mamp_schemas.models.dataset import DatasetSpec, dataset_spec, fixed_specs
from mamp_schemas.models.skeleton import KINECT_V1, KINECT_V2, Skeleton


def test_protocol__unknown_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no protocol 'xset'; its protocols are: xsub, xview"):
        NTU60.protocol("xset")


@pytest.mark.parametrize("dataset", fixed_specs().values(), ids=lambda dataset: dataset.name)
def test_official_counts__agree_between_protocols(dataset: DatasetSpec) -> None:
    known = [protocol for protocol in dataset.protocols if protocol.official_train is not None]
    expected = {"ntu60": 56_578, "ntu120": 113_945, "pku1": 21_545, "pku2": 6_945, "nwucla": 1_484}[dataset.name]
    assert {protocol.official_train + protocol.official_test for protocol in known} == {expected}


def test_side__xset_trains_on_even_setups() -> None:
    xset = NTU120.protocol("xset")
    assert [xset.split_of(setup) for setup in (1, 2, 31, 32)] == ["test", "train", "test", "train"]


def test_side__nwucla_tests_on_view_3() -> None:
    xview = NWUCLA.protocol("xview")
    assert [xview.split_of(view) for view in (1, 2, 3)] == ["train", "train", "test"]


@pytest.mark.parametrize("skeleton", [KINECT_V1, KINECT_V2], ids=lambda skeleton: skeleton.name)
def test_skeleton__is_one_tree(skeleton: Skeleton) -> None:
    roots = [joint for joint, parent in enumerate(skeleton.parents) if joint == parent]
    assert roots == [0]
    for joint in range(len(skeleton.joints)):
        steps = 0
        while joint != 0:
            joint, steps = skeleton.parents[joint], steps + 1
            assert steps < len(skeleton.joints)


def test_skeleton__refuses_a_parent_out_of_range() -> None:
    with pytest.raises(ValidationError, match=r"must be in 0\.\.1"):
        Skeleton(name="s", joints=("a", "b"), parents=(0, 2), centre=0)


def test_paper_policy__only_ntu120_copies_a_single_body() -> None:
    assert {name: dataset_spec(name).paper_policy.empty_slot for name in fixed_specs()} == {
        "ntu60": "zeros",
        "ntu120": "copy",
        "pku1": "zeros",
        "pku2": "zeros",
        "nwucla": "zeros",
    }


def test_digest__policy_fields_that_do_not_apply_do_not_count() -> None:
    policy = dataset_spec("ntu60").paper_policy
    assert policy.interval_start is None
    assert "interval_start" not in policy.canonical_data()
    assert policy.digest() != policy.replaced(interval_start="zero_based").digest()

"""Lines of metrics as curves: where they stand, and how many points they become."""

import pytest

from mamp_pipeline.report.curves import MAX_POINTS, shortest_unique_paths, training_curves

EPOCHS = [
    {"epoch": 1, "step": 10, "loss": 2.0, "seconds": 3600.0},
    {"epoch": 2, "step": 20, "loss": 1.0, "seconds": 9000.0},
]


def step_line(step: int, **values: float) -> dict[str, float]:
    return {"epoch": 1, "step": step, "loss": 1.0, "step_s": 36.0, **values}


def test_training_curves__steps_stand_between_the_ends_of_epochs() -> None:
    train = training_curves([step_line(5), step_line(10), step_line(15)], EPOCHS)["train"]
    assert train["epoch"] == [0.5, 1, 1.5]
    assert train["hours"] == [0.5, 1, 1.75]


def test_training_curves__steps_after_the_last_epoch_go_on_at_its_pace() -> None:
    train = training_curves([step_line(30)], EPOCHS)["train"]
    assert (train["epoch"], train["hours"]) == ([3], [4])


def test_training_curves__before_the_end_of_an_epoch_only_steps_and_hours_are_known() -> None:
    curves = training_curves([step_line(10), step_line(20)], [])
    assert curves["train"]["epoch"] == [None, None]
    assert curves["train"]["hours"] == [0.1, 0.2]
    assert curves["epochs"]["loss"] == []


def test_training_curves__of_a_run_without_lines() -> None:
    curves = training_curves([], [])
    assert curves["train"]["loss"] == curves["train"]["step"] == curves["epochs"]["top1"] == []


def test_training_curves__what_a_line_does_not_measure_is_none() -> None:
    curves = training_curves([step_line(10, loss=float("nan"))], EPOCHS)
    assert curves["train"]["lr"] == curves["train"]["loss"] == [None]
    assert curves["epochs"]["top1"] == [None, None]


def test_training_curves__brings_many_lines_together() -> None:
    lines = [step_line(number, loss=number, memory_gb=number % 2) for number in range(1, 2 * MAX_POINTS + 2)]
    curves = training_curves(lines, EPOCHS)
    train = curves["train"]
    assert curves["together"] == 3
    assert len(train["loss"]) == len(train["step"]) <= MAX_POINTS
    assert train["loss"][:2] == [2, 5]
    assert train["step"][:2] == [3, 6]
    assert train["step"][-1] == 2 * MAX_POINTS + 1
    assert train["memory"][0] == 1


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/runs/mamp", "a/runs/random"], ["mamp", "random"]),
        (["a/0/mamp", "a/1/mamp", "a/1/random"], ["0/mamp", "1/mamp", "1/random"]),
        (["a/mamp"], ["mamp"]),
    ],
)
def test_shortest_unique_paths__takes_the_shortest_ends_that_differ(paths: list[str], names: list[str]) -> None:
    assert shortest_unique_paths([path.split("/") for path in paths]) == names


def test_shortest_unique_paths__of_the_same_folder_twice() -> None:
    assert shortest_unique_paths([("a", "b"), ("a", "b")]) == ["a/b", "a/b"]


def test_training_curves__steps_of_a_long_run_are_whole() -> None:
    assert training_curves([step_line(125_311)], EPOCHS)["train"]["step"] == [125_311]

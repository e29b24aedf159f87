import json
import os
from pathlib import Path

import pytest
import yaml

from mamp_schemas.errors import RecordError
from mamp_schemas.io.run_files import read_curve, read_record, read_run, read_run_progress, read_runs
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.recipes import load_recipe
from mamp_trainer.runs.index import find_finished, run_detail, summarise_run
from tests.trainer.run_folders import encoder_of, write_metrics, write_recipe, write_run
from tests.trainer.runs import linear_recipe, pretrain_recipe


def change_record(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_read_record__an_edited_one_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", linear_recipe())
    change_record(run, seed=7)
    with pytest.raises(RecordError, match=r"run\.json: does not match its digest"):
        read_record(run)


def test_read_runs__every_folder_below_that_holds_one(tmp_path: Path) -> None:
    write_run(tmp_path / "b" / "deep" / "run", linear_recipe())
    write_recipe(tmp_path / "a", linear_recipe())
    write_recipe(tmp_path / ".hidden", linear_recipe())
    write_recipe(tmp_path / "a" / "checkpoints" / "inner", linear_recipe())
    (tmp_path / "empty").mkdir()
    found = read_runs([tmp_path, tmp_path / "a"])
    assert [(str(run.folder.relative_to(tmp_path)), run.state) for run in found] == [
        ("a", "incomplete"),
        ("b/deep/run", "complete"),
    ]


def test_read_runs__an_unknown_field_is_told_and_stops_nothing(tmp_path: Path) -> None:
    change_record(write_run(tmp_path / "bad", linear_recipe()), colour="blue")
    (write_run(tmp_path / "torn", linear_recipe()) / "run.json").write_text('{"task": ')
    write_run(tmp_path / "well", linear_recipe())
    bad, torn, well = read_runs([tmp_path])
    assert (bad.state, torn.state, well.state) == ("damaged", "damaged", "complete")
    assert "unknown key: colour" in bad.problem
    assert "not valid JSON" in torn.problem
    assert summarise_run(bad).problem == bad.problem


def test_read_record__says_what_to_do_about_an_unknown_field(tmp_path: Path) -> None:
    change_record(write_run(tmp_path / "run", linear_recipe()), colour="blue")
    with pytest.raises(RecordError, match="unknown key: colour") as caught:
        read_record(tmp_path / "run")
    assert "Use the version of mampctl that wrote it" in caught.value.remedy


def test_summarise_run__of_a_complete_one_by_its_record_alone(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", linear_recipe(), 57.5)
    (folder / "recipe.yaml").unlink()
    line = summarise_run(read_run(folder))
    assert (line.recipe, line.last_top1, line.best_top1, line.best_epoch) == ("tiny", 57.5, 58.5, 2)
    assert (line.epochs, line.planned_epochs, line.last_loss) == (3, 3, None)


def test_summarise_run__of_an_incomplete_one_by_recipe_and_metrics(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path / "run", linear_recipe())
    write_metrics(
        folder,
        {"event": "train", "epoch": 1, "step": 7, "loss": 9.0},
        {"event": "epoch", "epoch": 1, "step": 7, "loss": 2.0, "test_top1": 30.0, "seconds": 4.0},
        {"event": "train", "epoch": 2, "step": 10, "loss": 1.0},
    )
    line = summarise_run(read_run(folder))
    assert (line.state, line.epochs, line.planned_epochs, line.step) == ("incomplete", 2, 3, 10)
    assert (line.last_top1, line.last_loss, line.seconds) == (30.0, None, 4.0)


def test_summarise_run__of_a_protocol_that_is_not_installed(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path / "run", linear_recipe())
    fields = linear_recipe().model_dump(mode="json") | {"kind": "attentive", "queries": 4}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields))
    line = summarise_run(read_run(folder))
    assert (line.state, line.task, line.dataset, line.planned_epochs) == ("incomplete", "attentive", "ntu60", 3)
    detail = run_detail(read_run(folder))
    assert detail.recipe == fields
    assert "there is no task 'attentive'" in detail.notes[0]


def test_summarise_run__a_recipe_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path / "run", linear_recipe())
    (folder / "recipe.yaml").write_text("kind: linear\ncolour: blue\n")
    line = summarise_run(read_run(folder))
    assert line.state == "damaged"
    assert "unknown key: colour" in line.problem


def test_read_run_progress__looks_at_the_end_only(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("not JSON\n")
    assert read_run_progress(tmp_path) is None
    lines = [{"event": "train", "epoch": 1, "step": step, "loss": 0.5} for step in range(3000)]
    write_metrics(tmp_path, *lines)
    (tmp_path / "metrics.jsonl").write_text("not JSON\n" + (tmp_path / "metrics.jsonl").read_text())
    reached = read_run_progress(tmp_path)
    assert reached is not None
    assert (reached.step, reached.measured) == (2999, {})


def test_read_run_progress__metrics_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    assert read_run_progress(tmp_path) is None


def test_read_run_progress__before_the_first_line(tmp_path: Path) -> None:
    assert read_run_progress(tmp_path) is None
    write_metrics(tmp_path)
    assert read_run_progress(tmp_path) is None


def test_read_curve__lines_of_steps_and_of_epochs_apart(tmp_path: Path) -> None:
    train = {"event": "train", "epoch": 1, "step": 10, "loss": 0.5, "peak_share": 0.2}
    write_metrics(tmp_path, train, {"event": "epoch", "epoch": 1, "step": 10, "seconds": 1.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "train", "ep')  # being written at the moment
    course = read_curve(tmp_path)
    assert course.train == [{"epoch": 1, "step": 10, "loss": 0.5, "peak_share": 0.2}]
    assert course.epochs == [{"epoch": 1, "step": 10, "seconds": 1.5}]


def test_read_curve__before_the_first_line(tmp_path: Path) -> None:
    assert read_curve(tmp_path) == ([], [])


@pytest.mark.parametrize("text", ["not JSON", '{"event": "train", "epoch": 1}', '{"loss": "high"}'])
def test_read_curve__names_the_line_that_is_damaged(tmp_path: Path, text: str) -> None:
    write_metrics(tmp_path, {"event": "train", "epoch": 1, "step": 10, "loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(f"{text}\n")
    with pytest.raises(RecordError, match=r"metrics\.jsonl, line 2"):
        read_curve(tmp_path)


def test_read_curve__of_a_complete_run_is_whole(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"metrics\.jsonl: cannot be read"):
        read_curve(tmp_path, complete=True)
    write_metrics(tmp_path, {"event": "epoch", "epoch": 1, "step": 1, "loss": 0.5})  # and a line that is cut off
    assert read_curve(tmp_path).epochs == [{"epoch": 1, "step": 1, "loss": 0.5}]
    with pytest.raises(RecordError, match=r"metrics\.jsonl, line 2"):
        read_curve(tmp_path, complete=True)


def test_find_finished__by_recipe_store_manifest_and_encoder(tmp_path: Path) -> None:
    trained, weights = pretrain_recipe(), "d" * 64
    recipe = linear_recipe(seed=1)
    write_run(tmp_path / "other-seed", linear_recipe(), **encoder_of(tmp_path / "pre", trained, weights))
    write_run(tmp_path / "wanted", recipe, **encoder_of(tmp_path / "pre", trained, weights))
    write_recipe(tmp_path / "begun", recipe)
    runs = read_runs([tmp_path])
    wanted = (recipe.digest(), "a" * 64, "b" * 64, weights)
    found = find_finished(runs, *wanted)
    assert found is not None
    assert found.folder == tmp_path / "wanted"
    for place in range(4):
        other = [*wanted]
        other[place] = "e" * 64
        assert find_finished(runs, *other) is None


def test_run_detail__where_the_recipe_is_not_as_shipped(tmp_path: Path) -> None:
    recipe = load_recipe("pretrain", "nwucla-small", ["schedule.epochs=7", "seed=2"])
    found = run_detail(read_run(write_run(tmp_path / "run", recipe, 0.5)))
    shipped = load_recipe("pretrain", "nwucla-small")
    assert found.shipped
    assert [(change.key, change.values) for change in found.changes] == [
        ("schedule.epochs", (shipped.schedule.epochs, 7)),
        ("seed", (0, 2)),
    ]
    assert found.notes == ()


def test_run_detail__an_edited_recipe_is_noted(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", linear_recipe())
    edited = linear_recipe(schedule=ScheduleSpec(epochs=9, lr=0.1))
    write_recipe(tmp_path / "edited", edited)
    (tmp_path / "edited" / "recipe.yaml").replace(folder / "recipe.yaml")
    found = run_detail(read_run(folder))
    assert "not the recipe of the record's hash" in found.notes[0]
    assert not found.shipped

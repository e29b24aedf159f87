"""Tables as written, and how long their runs are estimated to take."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mamp_schemas.io.run_files import read_run
from mamp_schemas.models.published import TABLES
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.models.reproduction import ObtainedCell, ObtainedRun, ObtainedTable, PlannedRun
from mamp_schemas.models.results import Spread
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.reproduce.catalog import DataCatalog, count_clips
from mamp_trainer.reproduce.dry_run import ASSUMED_SHARE, Rates, count_operations, estimate, measure_rates
from mamp_trainer.reproduce.plan import make_plan
from mamp_trainer.reproduce.tables import file_stem, list_notes, to_csv, to_markdown, write_table
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import CPU, finetune_recipe, linear_recipe, pretrain_recipe, write_toy_store


def obtained_run(draw: int, value: float) -> ObtainedRun:
    return ObtainedRun(
        name=f"semi-draw{draw}", folder=f"../runs/{draw}", seed=0, value=value, best=value + 1, best_epoch=3
    )


def make_table(**changes: object) -> ObtainedTable:
    """Return table 5 with a number of two draws, one that is pending, and one that failed."""
    runs = (obtained_run(1, 60.0), obtained_run(2, 64.0))
    rows = [row.method for row in TABLES["5"].rows]
    scratch, mamp = rows.index("W/o pre-training"), rows.index("MAMP")
    table = ObtainedTable(
        published=TABLES["5"],
        scale="full",
        measure="top1",
        comparable=True,
        notes=("a note",),
        cells=(
            ObtainedCell(row=scratch, column=0, state="pending", runs=runs[:1], planned=2),
            ObtainedCell(row=scratch, column=1, state="failed", runs=(), planned=2, problem="no store"),
            ObtainedCell(
                row=mamp,
                column=0,
                state="done",
                obtained=Spread.of([60.0, 64.0]),
                best=Spread.of([61.0, 65.0]),
                difference=62.0 - 66.0,
                runs=runs,
                planned=2,
            ),
        ),
    )
    return table.replaced(**changes)


def test_to_markdown__number_deviation_difference_and_links() -> None:
    lines = to_markdown(make_table()).splitlines()
    assert lines[0] == "# Table 5: Semi-supervised evaluation on NTU-60, mean of five draws"
    assert "- a note" in lines
    line = "| MAMP | ntu60 xsub, 1 % of labels | 66.0 | 62.00 ± 2.83 | -4.00 | 63.00 ± 2.83 |"
    assert f"{line} [1](<../runs/1>) [2](<../runs/2>) |" in lines


def test_to_markdown__tells_what_is_pending_and_what_failed() -> None:
    lines = to_markdown(make_table()).splitlines()
    scratch = "| W/o pre-training | ntu60 xsub,"
    assert f"{scratch} 1 % of labels | 38.8 | pending (1 of 2 runs done) | – | – | [1](<../runs/1>) |" in lines
    assert f"{scratch} 10 % of labels | 70.8 | failed (0 of 2 runs done) | – | – | – |" in lines
    assert lines[-1] == "- no store"


def test_to_markdown__other_methods_are_printed_as_published() -> None:
    lines = to_markdown(make_table()).splitlines()
    assert "| CPM | ntu60 xsub, 1 % of labels | 56.7 | – | – | – | – |" in lines
    assert not any(line.startswith("| ASSL | ntu60 xsub, 1 %") for line in lines)


@pytest.mark.parametrize(
    ("changes", "title_end"),
    [
        ({"scale": "small", "comparable": False}, "(reduced scale: not a reproduction)"),
        ({"comparable": False}, "(other data: not a reproduction)"),
    ],
)
def test_to_markdown__the_title_says_what_is_no_reproduction(changes: dict[str, object], title_end: str) -> None:
    assert to_markdown(make_table(**changes)).splitlines()[0].endswith(title_end)


def test_to_csv__one_line_a_number_and_nothing_where_nothing_is() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(make_table()))))
    assert len(rows) == len(list(TABLES["5"].numbers()))
    (done,) = (row for row in rows if row["state"] == "done")
    assert (done["published"], done["obtained"], done["difference"]) == ("66.0", "62.0", "-4.0")
    assert float(done["deviation"]) == pytest.approx(2.8284, abs=1e-4)
    assert done["folders"] == "../runs/1;../runs/2"
    assert all(row["obtained"] == "" for row in rows if row["state"] != "done")


def test_write_table__json_reads_back(tmp_path: Path) -> None:
    write_table(tmp_path / "tables", make_table())
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == [
        "table-5.csv",
        "table-5.json",
        "table-5.md",
    ]
    assert ObtainedTable.model_validate_json((tmp_path / "tables" / "table-5.json").read_text()) == make_table()


def test_stem__scales_have_files_of_their_own() -> None:
    assert [file_stem("8", "full"), file_stem("8", "small"), file_stem("fig-loss", "small")] == [
        "table-8",
        "table-8-small",
        "fig-loss-small",
    ]


def test_list_notes__a_tolerance_only_where_numbers_are_comparable() -> None:
    assert any("0.5 points" in note for note in list_notes(TABLES["8"], "full", []))
    for scale, odd in (("small", []), ("full", ["ntu60 xsub: 20 training clips"])):
        notes = list(list_notes(TABLES["8"], scale, odd))
        assert "comparable with the published" in notes[0]
        assert not any("0.5 points" in note for note in notes)


def test_count_operations__epochs_clips_and_tests() -> None:
    recipe = pretrain_recipe()
    once = count_operations(recipe, 10, 5)
    longer = recipe.replaced(schedule=ScheduleSpec(epochs=6, lr=0.1))
    assert count_operations(longer, 10, 5) == 2 * once
    assert count_operations(recipe, 20, 99) == 2 * once
    linear, finetune = (
        count_operations(evaluation, 10, 0) for evaluation in (linear_recipe(), finetune_recipe(model=recipe.model))
    )
    assert finetune == 3 * linear
    assert count_operations(linear_recipe(), 10, 10) == 2 * linear


def test_count_clips__official_ones_where_the_data_is_not_there(tmp_path: Path) -> None:
    plan = make_plan("5")
    counts = {count_clips(run.recipe, DataCatalog(tmp_path)) for run in plan.runs}
    assert counts == {
        (40_091, 16_487),
        (400, 16_487),
        (4_009, 16_487),
        (37_646, 18_932),
        (376, 18_932),
        (3_764, 18_932),
    }


def test_estimate__by_finished_runs_of_the_same_network_and_task(tmp_path: Path) -> None:
    store = write_toy_store(tmp_path)
    store.rename(tmp_path / "ntu60.zarr")
    (tmp_path / "toy.xsub.json").rename(tmp_path / "ntu60.xsub.json")
    recipe = pretrain_recipe()
    result = pretrain(recipe, tmp_path / "ntu60.zarr", RunContext(tmp_path / "run", device="cpu"))
    catalog = DataCatalog(tmp_path)
    rates = measure_rates([read_run(tmp_path / "run")], catalog, CPU)
    twice = recipe.replaced(schedule=recipe.schedule.replaced(epochs=6))
    known = estimate(PlannedRun(name="a", recipe=twice), catalog, rates)
    assert known is not None
    assert known.recorded
    assert known.seconds == pytest.approx(2 * result.seconds)
    other = estimate(PlannedRun(name="b", recipe=linear_recipe()), catalog, rates)
    assert other is not None
    assert not other.recorded


def test_measure_rates__runs_on_other_devices_or_data_say_nothing(tmp_path: Path) -> None:
    store = write_toy_store(tmp_path)
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    store.rename(tmp_path / "ntu60.zarr")
    (tmp_path / "toy.xsub.json").rename(tmp_path / "ntu60.xsub.json")
    run = read_run(tmp_path / "run")
    assert run.record is not None
    for changes in ({"device": "cuda:0: something fast"}, {"store_hash": "0" * 64}):
        other = replace(run, record=run.record.replaced(**changes))
        rates = measure_rates([other], DataCatalog(tmp_path), torch.device("cpu"))
        assert not rates.recorded
        assert rates.assumed > 0


def test_estimate__without_finished_runs_by_operations(tmp_path: Path) -> None:
    planned = make_plan("8").runs[0]
    estimated = estimate(planned, DataCatalog(tmp_path), Rates({}, ASSUMED_SHARE * 1e12))
    assert estimated is not None
    assert not estimated.recorded
    assert estimated.seconds == pytest.approx(count_operations(planned.recipe, 40_091, 16_487) / 3e11)

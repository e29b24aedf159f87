"""Every published number against the rows of the paper's tables, and these against the paper where it is at hand."""

import re
from collections import Counter

import pytest

from mamp_schemas.models.published import TABLES, TOLERANCE
from mamp_schemas.models.published.format import Column, PublishedTable, Row
from tests.paths import SHARED_DATA, TESTS

PAPER = SHARED_DATA.parent / "paper.txt"
PRINTED = (TESTS / "schemas" / "paper_tables.txt").read_text(encoding="utf-8").splitlines()
REFERENCE = TESTS.parent / "docs" / "reference.md"
OF_THE_PAPER = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10a", "10b")

AS_PRINTED = {
    "CTR-GCN": "CTR-CGN",
    "joint": "Joint",
    "motion": "Motion",
    "masking.strategy=uniform": "Random masking",
    "masking.strategy=motion": "Motion-aware masking",
}


def table_rows(text: str) -> list[str]:
    """Return the lines of a text that are rows of numbers in a table."""
    return [line for line in text.splitlines() if line.endswith("|") and re.search(r"\d\.\d", line)]


def read_row(line: str) -> tuple[list[str], list[float | None]]:
    """Return the labels and the numbers of a printed row."""
    cells = [cell.strip().replace("\\cellcolorbaselinecolor", "") for cell in line.rstrip("|").split("|")]
    numbers = [cell for cell in cells if re.fullmatch(r"\d+\.\d|-", cell)]
    labels = [re.sub(r"( \[\d+\]| \(Ours\))$", "", cell) for cell in cells if cell not in numbers]
    return [label for label in labels if label], [None if cell == "-" else float(cell) for cell in numbers]


def labels_of(table: PublishedTable, row: Row, before: Row | None) -> list[str]:
    """Return the labels that stand before a row's numbers; what equals the row above may be printed once for both."""
    if table.name == "7":
        merged = before is not None and before.recipe["model.input"] == row.recipe["model.input"]
        return [AS_PRINTED[str(value)] for value in row.recipe.values()][merged:]
    if table.name == "8":
        return [AS_PRINTED[f"masking.strategy={row.recipe['masking.strategy']}"]]
    if table.name == "9":
        frames, segment = (int(row.recipe[field]) for field in ("model.frames", "model.segment"))
        return [*([] if before else [str(frames // segment)]), str(frames), str(segment)]
    if row.recipe:
        return [str(value) for value in row.recipe.values()]
    return [AS_PRINTED.get(row.method, row.method), *(name for name in (row.input, row.backbone) if name)]


def test_tables__every_row_is_printed_so_and_no_other_is() -> None:
    expected = [
        (labels_of(TABLES[name], row, TABLES[name].rows[at - 1] if at else None), list(row.values))
        for name in OF_THE_PAPER
        for at, row in enumerate(TABLES[name].rows)
    ]
    assert [read_row(line) for line in PRINTED] == expected


@pytest.mark.skipif(not PAPER.exists(), reason="needs the paper's text, which is not part of the repository")
def test_printed_rows__are_all_of_the_papers_rows_in_their_order() -> None:
    assert table_rows(PAPER.read_text(encoding="utf-8")) == PRINTED


def test_released_and_later__stand_in_the_reference() -> None:
    text = REFERENCE.read_text(encoding="utf-8").partition("## 6. Published numbers")[2].partition("## 7.")[0]
    linear, finetuned = (" / ".join(str(value) for value in row.values) for row in TABLES["released"].rows)
    later = ", ".join(f"{number.method} {number.value}" for number in TABLES["later"].numbers())
    assert f"linear {linear}, fine-tuned {finetuned} (NTU-60 xsub, xview, NTU-120 xsub, xset)" in text
    assert f"Follow-ups on NTU-60 xsub linear: {later}." in text
    assert f"±{TOLERANCE}" in text


COLUMNS = {
    "1": ["ntu60 xsub", "ntu60 xview", "ntu120 xsub", "ntu120 xset", "pku1 xsub", "pku2 xsub"],
    "2": ["ntu60 xsub", "ntu60 xview"],
    "3": ["ntu120 xsub", "ntu120 xset"],
    "4": ["ntu60 xsub", "ntu60 xview", "ntu120 xsub", "ntu120 xset"],
    "5": ["ntu60 xsub 0.01", "ntu60 xsub 0.1", "ntu60 xview 0.01", "ntu60 xview 0.1"],
    "6": ["pku2 xsub ntu60", "pku2 xsub ntu120", "pku2 xsub pku1"],
}
"""As the heads of the tables have them; the ablations and what is not the paper's name theirs in the text."""


def describe(column: Column) -> str:
    return " ".join(str(part) for part in column.__dict__.values() if part is not None)


@pytest.mark.parametrize("name", COLUMNS)
def test_tables__columns_are_those_of_the_head(name: str) -> None:
    assert [describe(column) for column in TABLES[name].columns] == COLUMNS[name]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_numbers__no_two_are_of_the_same_thing(table: PublishedTable) -> None:
    keys = [number.replaced(value=0.0).model_dump_json() for number in table.numbers()]
    assert keys
    assert max(Counter(keys).values()) == 1


def test_numbers__what_two_tables_print_agrees() -> None:
    """MAMP's linear numbers come back in every ablation, its fine-tuned ones in table 4, SkeletonMAE*'s in table 7."""
    linear = {(number.dataset, number.protocol, number.method): number.value for number in TABLES["1"].numbers()}
    finetuned = [number.value for name in ("2", "3") for number in TABLES[name].numbers() if number.method == "MAMP"]
    assert [number.value for number in TABLES["4"].numbers() if number.method == "MAMP"] == finetuned
    mamp_values = (linear["ntu60", "xsub", "MAMP"], linear["ntu120", "xsub", "MAMP"])
    assert all(mamp_values in [row.values for row in TABLES[name].rows] for name in ("7", "8", "9", "10a", "10b"))
    assert TABLES["7"].rows[0].values == (
        linear["ntu60", "xsub", "SkeletonMAE*"],
        linear["ntu120", "xsub", "SkeletonMAE*"],
    )


def test_published_table__a_row_of_another_length_is_refused() -> None:
    table = TABLES["2"]
    with pytest.raises(ValueError, match="table 2: ours has 1 numbers, expected 2"):
        table.replaced(rows=(Row(method="ours", values=(50.0,)),))

"""Each object of a store deleted, cut, flipped, swapped or zeroed: every command gives the right result or names it."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mamp_pipeline.ingest import run as ingest_module
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.splits import build_manifest
from mamp_pipeline.store import shards, writer
from mamp_schemas.errors import DamagedStoreError
from mamp_schemas.io.manifests import manifest_path, write_manifest
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.models.store import ROW_ARRAYS
from mamp_schemas.progress import NullProgress
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.cli.conftest import Outcome, Run
from tests.paths import GOLDEN
from tests.trainer.runs import CLOCK, evaluate_encoder, linear_recipe, pretrain_recipe

SHARD_ROWS = 512
SCHEDULE = ScheduleSpec(epochs=1, lr=0.01)
PRETRAIN = pretrain_recipe(schedule=SCHEDULE, batch_size=4)
LINEAR = linear_recipe(schedule=SCHEDULE)
CLOCKS = {*CLOCK, "seconds", "time", "run_id", "estimate"}


@dataclass
class Bench:
    """A store in shards of a few clips with runs on it, and a copy of it to work on, always under the same path.

    Attributes:
        whole: the folder that stays.
        work: its copy: `ntu60.zarr`, manifests, runs, recipes, and `out` for what commands write.
        right: what each command gave on the undamaged copy.
    """

    whole: Path
    work: Path
    right: dict[str, Any] = field(default_factory=dict)

    def reset(self) -> None:
        """Make the copy anew."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.whole, self.work)

    @property
    def store(self) -> Path:
        """The copy's store."""
        return self.work / "ntu60.zarr"

    def objects(self) -> list[str]:
        """Return the store's objects."""
        folder = self.whole / "ntu60.zarr"
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    whole, bench = folder / "whole", Bench(folder / "whole", folder / "work")
    whole.mkdir()
    with zipfile.ZipFile(GOLDEN / "ntu60" / "raw.zip") as source:
        names = sorted(name for name in source.namelist() if name.endswith(".skeleton"))
        for number in range(2):
            with zipfile.ZipFile(whole / f"{number}.zip", "w") as target:
                for name in names[number:12:2]:
                    target.writestr(name, source.read(name))
    for name, recipe in (("pretrain", PRETRAIN), ("linear", LINEAR)):
        (whole / f"{name}.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    with pytest.MonkeyPatch.context() as patch:
        for module in (shards, writer):
            patch.setattr(module, "CHUNK_ROWS", 128)
        for module in (shards, writer, ingest_module):
            patch.setattr(module, "SHARD_ROWS", SHARD_ROWS)
        store = whole / "ntu60.zarr"
        policy = dataset_spec("ntu60").paper_policy
        ingest(IngestRequest("ntu60", (whole / "0.zip",), store, policy), NullProgress())
        write_manifest(manifest_path(store, "xsub"), build_manifest(open_store(store), "xsub"))
        pretrain(PRETRAIN, store, RunContext(whole / "mamp", device="cpu"))
        evaluate_encoder(LINEAR, store, whole / "probe", whole / "mamp", device="cpu")
        yield bench


Command = tuple[tuple[object, ...], Callable[[Bench, Outcome], Any]]


def printed(_: Bench, outcome: Outcome) -> Any:
    return without_clocks(json.loads(outcome.out))


def without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_clocks(item) for key, item in value.items() if key not in CLOCKS}
    return [without_clocks(item) for item in value] if isinstance(value, list) else value


def file_bytes(name: str) -> Callable[[Bench, Outcome], bytes]:
    return lambda bench, _: (bench.work / name).read_bytes()


def curve(name: str) -> Callable[[Bench, Outcome], list[Any]]:
    return lambda bench, _: [
        without_clocks(json.loads(line)) for line in (bench.work / name / "metrics.jsonl").read_text().splitlines()
    ]


def extended(bench: Bench, _: Outcome) -> str:
    """Return what an extended store holds, or how reading it fails: an append does not read the shards it keeps."""
    try:
        store = open_store(bench.store)
        rows = [store.read_rows(name, 0, store.metadata.counts.rows).tobytes() for name in ROW_ARRAYS]
    except DamagedStoreError as problem:
        return problem.message
    return f"{store.metadata.content_hash} {hash(tuple(rows))}"


def commands(bench: Bench) -> dict[str, Command]:
    """Return every command that reads a store, and what of its result must be right; the last one changes the store."""
    work, out = bench.work, bench.work / "out"
    store, clip = ("--store", bench.store), open_store(bench.whole / "ntu60.zarr").ids[1]
    cpu = ("--device", "cpu")
    return {
        "info": (("info", bench.store, "--json"), printed),
        "verify": (("verify", bench.store, "--json"), printed),
        "show": (("show", bench.store, clip, "--html", out / "c.html", "--json"), file_bytes("out/c.html")),
        "report": (("report", bench.store, "--out", out / "s.html"), file_bytes("out/s.html")),
        "export npz": (
            ("export", "npz", *store, "--protocol", "xsub", "--out", out / "x.npz"),
            file_bytes("out/x.npz"),
        ),
        "export h5": (("export", "h5", *store, "--protocol", "xsub", "--out", out / "x.h5"), file_bytes("out/x.h5")),
        "export pyskl": (("export", "pyskl", *store, "--out", out / "x.pkl"), file_bytes("out/x.pkl")),
        "knn": (("knn", work / "mamp", *store, *cpu, "--k", 1, "--json"), printed),
        "embed": (("embed", work / "mamp", *store, *cpu, "--out", out / "f.npz"), file_bytes("out/f.npz")),
        "evaluate": (("evaluate", work / "probe", *store, *cpu, "--json"), printed),
        "analyse": (("analyse", work / "probe", *store, *cpu), file_bytes("probe/analysis.json")),
        "pretrain": (
            ("train", "pretrain", "--recipe", work / "pretrain.yaml", *store, *cpu, "--out", out / "p"),
            curve("out/p"),
        ),
        "linear": (
            (
                "train",
                "linear",
                "--recipe",
                work / "linear.yaml",
                "--from",
                work / "mamp",
                *store,
                *cpu,
                "--out",
                out / "l",
            ),
            curve("out/l"),
        ),
        "subset": (
            ("build-splits", "--protocol", "xsub", *store, "--fraction", "0.5", "--draws", 1),
            file_bytes("ntu60.xsub.0.5-uniform-seed0-draw1.json"),
        ),
        "build-splits": (("build-splits", "--protocol", "xview", *store), file_bytes("ntu60.xview.json")),
        "append": (("ingest", "ntu60", "--raw", work / "1.zip", "--out", bench.store, "--append"), extended),
    }


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "delete": lambda _: None,
    "truncate": lambda content: content[: len(content) // 2],
    "flip": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "zero": lambda content: bytes(len(content)),
}


def damage(bench: Bench, key: str, kind: str) -> tuple[str, ...]:
    """Damage an object of the copy; return the objects that an error may name, none if nothing was changed."""
    file = bench.store / key
    content = file.read_bytes()
    if kind != "swap":
        changed = DAMAGES[kind](content)
        file.unlink() if changed is None else file.write_bytes(changed)
        return (key,)
    level = key.count("/")
    alike = [other for other in bench.objects() if other.count("/") == level and other.endswith(key[-3:])]
    alike = alike if len(alike) > 1 else ["clips/zarr.json", key]
    other = alike[(alike.index(key) + 1) % len(alike)]
    if (bench.store / other).read_bytes() == content:
        return ()
    file.write_bytes((bench.store / other).read_bytes())
    (bench.store / other).write_bytes(content)
    return (key, other)


def outcome_of(run: Run, bench: Bench, command: Command) -> tuple[Outcome, Any]:
    """Run a command; return its outcome, and its result if it ended well."""
    (bench.work / "out").mkdir(exist_ok=True)
    arguments, result = command
    outcome = run(*arguments)
    return outcome, result(bench, outcome) if outcome.code == 0 else None


def problems_of(run: Run, bench: Bench, key: str, kind: str, names: list[str] | None = None) -> list[str]:
    """Damage an object, run commands, and return what is wrong about their outcomes."""
    if not bench.right:
        bench.reset()
        for name, command in commands(bench).items():
            outcome, bench.right[name] = outcome_of(run, bench, command)
            assert outcome.code == 0, (name, outcome.err)
    bench.reset()
    objects = damage(bench, key, kind)
    problems = []
    for name, command in commands(bench).items() if objects else ():
        if names and name not in names:
            continue
        try:
            outcome, result = outcome_of(run, bench, command)
        except Exception as problem:  # noqa: BLE001
            problems.append(f"{kind} {key}: {name} raised {problem!r}")
            continue
        text = outcome.out + outcome.err
        if outcome.code == 0:
            kept = name == "append" and any(item in result for item in objects)
            right = name != "verify" and (kept or result == bench.right[name])
        else:
            right = outcome.code == 1 and any(item in text for item in objects) and "Traceback" not in text
        if not right:
            problems.append(f"{kind} {key}: {name} ended with {outcome.code}: {text[-400:]}")
    return problems


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("clips/label/c/0", "delete"),
        ("clips/first_row/c/0", "swap"),
        ("clips/subject/c/0", "zero"),
        ("joints/c/1/0/0", "swap"),
        ("zarr.json", "flip"),
    ],
)
def test_commands__a_damaged_object_is_named(run: Run, bench: Bench, key: str, kind: str) -> None:
    assert problems_of(run, bench, key, kind) == []


@pytest.mark.soak
@pytest.mark.parametrize("kind", [*DAMAGES, "swap"])
def test_commands__every_object_damaged(run: Run, bench: Bench, kind: str) -> None:
    problems = [problem for key in bench.objects() for problem in problems_of(run, bench, key, kind)]
    assert problems == []

import pytest

from mamp_schemas.errors import UsageError
from mamp_trainer.distributed.env import RankEnv, expand_tasks, first_host, read_rank_env

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[007-008]",
}


def test_read_rank_env__single_process() -> None:
    assert read_rank_env({}) is None


def test_read_rank_env__under_torchrun() -> None:
    assert read_rank_env(TORCHRUN) == RankEnv(5, 8, 1, 4, "node1", 29500, launcher_hosts_store=False)
    kept = {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"}
    assert read_rank_env(TORCHRUN | kept) == RankEnv(5, 8, 1, 4, "node1", 29500, launcher_hosts_store=True, attempt=2)


def test_read_rank_env__under_srun() -> None:
    assert read_rank_env(SLURM) == RankEnv(
        5, 8, 1, 4, "gpu007", 20_000 + (1234567 + 2) % 10_000, launcher_hosts_store=False
    )


def test_read_rank_env__under_srun_with_master_addr() -> None:
    rank_env = read_rank_env(SLURM | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1234"})
    assert rank_env is not None
    assert (rank_env.address, rank_env.port) == ("10.0.0.1", 1234)


def test_read_rank_env__a_batch_script_without_srun_is_one_process() -> None:
    assert read_rank_env({name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"}) is None


@pytest.mark.parametrize("environment", [TORCHRUN | {"WORLD_SIZE": "1"}, SLURM | {"SLURM_STEP_NUM_TASKS": "1"}])
def test_read_rank_env__one_of_one_is_a_single_process(environment: dict[str, str]) -> None:
    assert read_rank_env(environment) is None


@pytest.mark.parametrize("name", ["LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_read_rank_env__names_a_missing_variable(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        read_rank_env({key: value for key, value in TORCHRUN.items() if key != name})


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (TORCHRUN | {"RANK": "\N{SUPERSCRIPT TWO}"}, "RANK is .*, not a number"),
        (TORCHRUN | {"RANK": "8"}, "RANK is 8, expected a number below 8"),
        (TORCHRUN | {"WORLD_SIZE": "9" * 5_000}, "WORLD_SIZE is 9{40}, expected"),
        (TORCHRUN | {"MASTER_PORT": "65536"}, "MASTER_PORT is 65536, expected a number below 65,536"),
        (TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "x"}, "TORCHELASTIC_RESTART_COUNT is 'x', not a number"),
        (SLURM | {"SLURM_NODEID": "2"}, "SLURM_NODEID is 2, expected a number below 2"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x9999999999)"}, "expected the number of tasks of each node"),
    ],
)
def test_read_rank_env__numbers_that_cannot_be(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read_rank_env(environment)


def test_read_rank_env__names_a_variable_that_is_not_a_number() -> None:
    with pytest.raises(UsageError, match="RANK is 'first', not a number"):
        read_rank_env(TORCHRUN | {"RANK": "first"})


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[007-012,20]", "gpu007"),
        ("gpu[3]", "gpu3"),
        ("gpu[003,7],cpu1", "gpu003"),
        ("rack[1-2]-gpu,other", "rack1-gpu"),
    ],
)
def test_first_host__of_the_short_form(hosts: str, first: str) -> None:
    assert first_host(hosts) == first


def test_expand_tasks__of_the_short_form() -> None:
    assert expand_tasks("2(x3),1") == [2, 2, 2, 1]


def test_expand_tasks__refuses_other_text() -> None:
    with pytest.raises(UsageError, match="2x3"):
        expand_tasks("2x3")

import torch

from mamp_trainer.data.rows import gather_to_device

CPU = torch.device("cpu")


def test_gather_to_device__rows_of_the_device_itself_stay_where_they_are() -> None:
    rows, index = torch.randn(5, 3, 2), torch.tensor([4, 0])
    assert gather_to_device(rows, index, CPU) == (rows, index)


def test_gather_to_device__from_the_host_only_what_is_needed_moves() -> None:
    meta = torch.device("meta")  # stands for a device with memory of its own
    rows, index = gather_to_device(torch.randn(5, 3, 2), torch.tensor([4, 0]), meta)
    assert (rows.device, index.device) == (meta, meta)
    assert (rows.shape, index.shape) == ((2, 3, 2), (2,))

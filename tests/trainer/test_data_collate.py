import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_trainer.data.collate import find_unique_bodies

REAL = torch.tensor([[True, False], [True, True], [True, False]])


def test_find_unique_bodies__zeros_come_after_the_bodies() -> None:
    slots = find_unique_bodies(REAL, empty_slots_are_copies=False)
    assert slots.bodies.tolist() == [0, 2, 3, 4]
    assert slots.body_of_slot.tolist() == [[0, 4], [1, 2], [3, 4]]


def test_find_unique_bodies__copies_are_their_clips_first_body() -> None:
    slots = find_unique_bodies(REAL, empty_slots_are_copies=True)
    assert slots.bodies.tolist() == [0, 2, 3, 4]
    assert slots.body_of_slot.tolist() == [[0, 0], [1, 2], [3, 3]]


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.booleans())
def test_find_unique_bodies__put_every_slot_back_in_its_place(seconds: list[bool], copies: bool) -> None:
    real = torch.tensor([[True, second] for second in seconds]).view(-1, 2)
    x = torch.arange(1, 1 + 2 * len(real)).view(-1, 2)
    x = torch.where(real, x, x[:, :1] if copies else 0)
    slots = find_unique_bodies(real, copies)
    different = torch.cat((x.flatten()[slots.bodies], torch.zeros(1, dtype=torch.int64)))
    assert torch.equal(different[slots.body_of_slot], x)

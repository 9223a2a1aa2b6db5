import torch
from torch import Tensor, nn

from pct.models.structural_copy import structural_copy


class Tied(nn.Module):
    """Two layers with one weight, a buffer, a plain tensor and an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.ones(4))
        self.shift = torch.zeros(4)
        self.derived = self.first.weight * 2  # no leaf: a plain deepcopy refuses it
        self.recurrent = nn.LSTM(4, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.recurrent(self.second(self.dropout(self.first(x))) * self.scale + self.shift)[0]
        return states


def test_tensors_are_shared_and_modules_are_not() -> None:
    original = Tied().train()
    copied = structural_copy(original).eval()
    assert isinstance(copied, Tied)
    assert copied.first is not original.first
    assert all(a is b for a, b in zip(original.parameters(), copied.parameters(), strict=True))
    assert copied.scale is original.scale
    assert copied.shift is original.shift
    assert copied.derived is original.derived
    assert copied.second.weight is copied.first.weight
    assert original.dropout.training
    assert not copied.dropout.training


def test_replacing_a_module_of_the_copy_leaves_the_original() -> None:
    original = Tied().eval()
    x = torch.randn(2, 3, 4)
    before = original(x)
    copied = structural_copy(original)
    assert torch.equal(copied(x), before)
    copied.first = nn.Identity()
    assert not torch.equal(copied(x), before)
    assert torch.equal(original(x), before)


def test_a_step_on_the_original_is_a_step_on_the_copy() -> None:
    original = Tied().eval()
    copied = structural_copy(original)
    copied(torch.ones(1, 1, 4)).sum().backward()
    assert original.first.weight.grad is not None
    with torch.no_grad():
        original.first.weight.add_(1)
    assert torch.equal(copied(torch.ones(1, 1, 4)), original(torch.ones(1, 1, 4)))


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1


def test_hooks_of_the_original_are_called_and_new_ones_are_the_copys_own() -> None:
    original, theirs, ours = Tied().eval(), Counting(), Counting()
    original.first.register_forward_hook(theirs)
    copied = structural_copy(original)
    copied.first.register_forward_hook(ours)
    copied(torch.ones(1, 1, 4))
    original(torch.ones(1, 1, 4))
    assert (theirs.calls, ours.calls) == (2, 1)


def test_on_another_device_the_tensors_are_the_copys_own_and_ties_hold() -> None:
    original = Tied()
    copied = structural_copy(original, torch.device("meta"))
    assert {p.device.type for p in copied.parameters()} == {"meta"}
    assert copied.scale.device.type == "meta"
    assert copied.second.weight is copied.first.weight
    assert {p.device.type for p in original.parameters()} == {"cpu"}
    assert original.scale.device.type == "cpu"
    same = structural_copy(original, torch.device("cpu"))
    assert same.first.weight is original.first.weight

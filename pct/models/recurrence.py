"""An LSTM's recurrence, given what the words contribute: forward and backward in time by hand, on whole batches.

Autograd would keep and walk a dozen small nodes a step. Here a step is one batched product and a few operations in
place, and both directions of a bidirectional layer take it together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def recur(drive: Tensor, weight: Tensor) -> Tensor:
    """The states of LSTMs (Hochreiter & Schmidhuber 1997, with forget gates), from zero states.

    drive: (length, layers, rows, 4 units), the gates' sums over the input and biases, in the order input, forget, cell,
    output. weight: (layers, units, 4 units), from the state to the gates. Returns (length, layers, rows, units).
    """
    with torch.autocast(drive.device.type, enabled=False):
        states: Tensor = _Recurrence.apply(drive.to(weight.dtype), weight)  # type: ignore[no-untyped-call]
        return states


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor) -> Tensor:
        length, layers, rows, width = drive.shape
        units = width // 4
        gates = torch.empty_like(drive)
        states = drive.new_zeros(length + 1, layers, rows, units)
        cells = drive.new_zeros(length + 1, layers, rows, units)
        bent = drive.new_empty(length, layers, rows, units)  # tanh of the cells
        for t in range(length):
            torch.baddbmm(drive[t], states[t], weight, out=gates[t])
            entry, forget, new, out = gates[t].chunk(4, -1)
            gates[t, ..., : 2 * units].sigmoid_()
            new.tanh_()
            out.sigmoid_()
            torch.mul(forget, cells[t], out=cells[t + 1]).addcmul_(entry, new)
            torch.tanh(cells[t + 1], out=bent[t])
            torch.mul(out, bent[t], out=states[t + 1])
        ctx.save_for_backward(gates, states, cells, bent, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return _back_through_time(gradients[0], ctx.saved_tensors, ctx.needs_input_grad[1])


def _back_through_time(gradient: Tensor, saved: Sequence[Tensor], at_weight: bool) -> tuple[Tensor, Tensor | None]:
    """The gradients at drive and weight, from that at the states."""
    gates, states, cells, bent, weight = saved
    at_drive = torch.empty_like(gates)
    at_state, at_cell = torch.zeros_like(states[0]), torch.zeros_like(states[0])
    turned = weight.transpose(1, 2)
    for t in reversed(range(len(gates))):
        entry, forget, new, out = gates[t].chunk(4, -1)
        to_entry, to_forget, to_new, to_out = at_drive[t].chunk(4, -1)
        at_state += gradient[t]
        at_cell.addcmul_(at_state * out, 1 - bent[t].square())
        torch.mul(at_state * bent[t], out * (1 - out), out=to_out)
        torch.mul(at_cell * new, entry * (1 - entry), out=to_entry)
        torch.mul(at_cell * cells[t], forget * (1 - forget), out=to_forget)
        torch.mul(at_cell * entry, 1 - new.square(), out=to_new)
        at_cell *= forget
        torch.bmm(at_drive[t], turned, out=at_state)
    if not at_weight:
        return at_drive, None
    before = states[:-1].permute(1, 3, 0, 2).flatten(2)  # (layers, units, length * rows)
    return at_drive, before @ at_drive.transpose(0, 1).flatten(1, 2)

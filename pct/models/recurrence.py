"""The recurrence of an LSTM on batches, given the input part of its gates, with a hand-written backward pass.

Autograd would record a dozen small nodes per step. Here a step is one batched matrix product and a few in-place
operations, for both directions of a bidirectional layer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


# a compiled graph would unroll the steps: one graph for each length
@torch.compiler.disable  # type: ignore[untyped-decorator]
def recur(inputs: Tensor, weight: Tensor) -> Tensor:
    """The states of LSTMs (Hochreiter & Schmidhuber 1997, with forget gates), from zero states.

    inputs: (length, layers, rows, 4 units), the input part of the gates with biases, in the order input, forget, cell,
    output. weight: (layers, units, 4 units), from the state to the gates. Returns (length, layers, rows, units).
    """
    with torch.autocast(inputs.device.type, enabled=False):
        return _Recurrence.apply(inputs.to(weight.dtype), weight)  # type: ignore[no-untyped-call]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor) -> Tensor:
        length, layers, rows, width = inputs.shape
        units = width // 4
        gates = torch.empty_like(inputs)
        states = inputs.new_zeros(length + 1, layers, rows, units)
        cells = inputs.new_zeros(length + 1, layers, rows, units)
        cell_tanh = inputs.new_empty(length, layers, rows, units)  # tanh of the cells
        for t in range(length):
            torch.baddbmm(inputs[t], states[t], weight, out=gates[t])
            input_gate, forget_gate, candidate, output_gate = gates[t].chunk(4, -1)
            gates[t, ..., : 2 * units].sigmoid_()
            candidate.tanh_()
            output_gate.sigmoid_()
            torch.mul(forget_gate, cells[t], out=cells[t + 1]).addcmul_(input_gate, candidate)
            torch.tanh(cells[t + 1], out=cell_tanh[t])
            torch.mul(output_gate, cell_tanh[t], out=states[t + 1])
        ctx.save_for_backward(gates, states, cells, cell_tanh, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return _back_through_time(gradients[0], ctx.saved_tensors, ctx.needs_input_grad[1])


def _back_through_time(gradient: Tensor, saved: Sequence[Tensor], needs_weight: bool) -> tuple[Tensor, Tensor | None]:
    """The gradients of inputs and weight, given the gradient of the states."""
    gates, states, cells, cell_tanh, weight = saved
    gates_gradient = torch.empty_like(gates)
    state_gradient, cell_gradient = torch.zeros_like(states[0]), torch.zeros_like(states[0])
    transposed = weight.transpose(1, 2)
    for t in reversed(range(len(gates))):
        input_gate, forget_gate, candidate, output_gate = gates[t].chunk(4, -1)
        input_gate_gradient, forget_gate_gradient, candidate_gradient, output_gate_gradient = gates_gradient[t].chunk(
            4, -1
        )
        state_gradient += gradient[t]
        cell_gradient.addcmul_(state_gradient * output_gate, 1 - cell_tanh[t].square())
        torch.mul(state_gradient * cell_tanh[t], output_gate * (1 - output_gate), out=output_gate_gradient)
        torch.mul(cell_gradient * candidate, input_gate * (1 - input_gate), out=input_gate_gradient)
        torch.mul(cell_gradient * cells[t], forget_gate * (1 - forget_gate), out=forget_gate_gradient)
        torch.mul(cell_gradient * input_gate, 1 - candidate.square(), out=candidate_gradient)
        cell_gradient *= forget_gate
        torch.bmm(gates_gradient[t], transposed, out=state_gradient)
    if not needs_weight:
        return gates_gradient, None
    before = states[:-1].permute(1, 3, 0, 2).flatten(2)  # (layers, units, length * rows)
    return gates_gradient, before @ gates_gradient.transpose(0, 1).flatten(1, 2)

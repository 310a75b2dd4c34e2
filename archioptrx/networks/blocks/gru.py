"""The building block `gru`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.matmul import linear, tanh
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.value import ForwardPass, Value


@block(SIGNATURES["gru"])
class GRU(nn.GRUCell):
    """A gated recurrent unit: `[input, state]` -> new state. Weights and meaning are those of `torch.nn.GRUCell`."""

    def __init__(self, inputs: Sequence[Shape], output: Shape) -> None:
        super().__init__(inputs[0].width, inputs[1].width)

    # A block takes values, torch.nn.GRUCell two tensors.
    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:  # type: ignore[override]
        """Update the state: [R, i], [R, h] -> [R, h]."""
        x, state = values[0].tensor(), values[1].tensor()
        reset_i, update_i, new_i = linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=1)
        reset_h, update_h, new_h = linear(state, self.weight_hh, self.bias_hh).chunk(3, dim=1)
        reset, update = (reset_i + reset_h).sigmoid(), (update_i + update_h).sigmoid()
        new = tanh(new_i + reset * new_h)
        return new + update * (state - new)

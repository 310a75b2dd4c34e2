"""The kernels below the blocks, where large single-precision inputs take other ways than small ones."""

import pytest
import torch
from comparison import agree
from torch import nn

from archioptrx.networks.blocks.ends import EdgeEnds, flow, lift
from archioptrx.networks.blocks.fused import dense, norm_act
from archioptrx.networks.blocks.matmul import linear, tanh
from archioptrx.networks.blocks.segments import Segments, maximum, take


@pytest.mark.parametrize("count", [1, 2047, 2048, 5000])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_of_any_height(count, biased):
    x = torch.randn(count, 32, requires_grad=True)
    weight, bias = torch.randn(48, 32, requires_grad=True), torch.randn(48, requires_grad=True)
    fast = linear(x, weight, bias if biased else None)
    plain = x.double() @ weight.double().T + (bias.double() if biased else 0)
    torch.testing.assert_close(fast.double(), plain, rtol=1e-4, atol=1e-4)
    leaves = (x, weight, bias) if biased else (x, weight)
    ours = torch.autograd.grad(fast.square().mean(), leaves)
    theirs = torch.autograd.grad(plain.square().mean(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["relu", "tanh"])
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_fused_layer_equals_its_parts(count, kind):
    layer, norm = nn.Linear(32, 24), nn.LayerNorm(24)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(count, 32, requires_grad=True)
    leaves = (x, *layer.parameters(), *norm.parameters())
    plain = getattr(torch, kind)(norm(layer(x)))
    agree(dense(x, layer, norm, kind), plain, *leaves, tolerance=2e-4)
    z = torch.randn(count, 24, requires_grad=True)
    agree(norm_act(z, norm, kind), getattr(torch, kind)(norm(z)), z, *norm.parameters(), tolerance=2e-4)


def test_tanh_is_exact_to_rounding():
    x = torch.linspace(-12, 12, 4001, requires_grad=True)
    agree(tanh(x), torch.tanh(x), x, tolerance=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_lift_and_flow_on_many_edges(count):
    generator = torch.Generator().manual_seed(2)
    index = torch.randint(0, 300, (2, count), generator=generator)
    ends, (src, dst) = EdgeEnds(index, 300), index
    table = torch.randn(300, 16, generator=generator, requires_grad=True)
    base = torch.randn(count, 8, generator=generator, requires_grad=True)
    agree(lift(table, base, ends), table[src, :8] + table[dst, 8:] + base, table, base, tolerance=1e-4)
    agree(lift(table, None, ends), table[src, :8] + table[dst, 8:], table, tolerance=1e-4)
    weights = torch.rand(count, generator=generator, requires_grad=True)
    plain = torch.zeros(300, 8).index_add(0, dst, weights[:, None] * table[src, :8])
    plain = plain.index_add(0, src, weights[:, None] * table[dst, 8:])
    agree(flow(table, weights, ends), plain, table, weights, tolerance=1e-4)


def test_sorted_edges_are_not_sorted_again():
    sorted_rows, other = Segments(torch.tensor([0, 0, 2]), 3), Segments(torch.tensor([2, 0, 0]), 3)
    assert sorted_rows.is_sorted
    assert not other.is_sorted
    assert sorted_rows.order.tolist() == [0, 1, 2]
    assert other.order.tolist() == [1, 2, 0]
    assert other.offsets.tolist() == [0, 2, 2, 3]
    x = torch.randn(3, 2, requires_grad=True)
    agree(take(x, other), x[other.index], x)


def test_the_largest_value_has_the_whole_gradient():
    """Zeros among them: relu gives many. Values that are equal share it; an empty group gives 0."""
    x = torch.tensor([[0.0, 1.0], [-1.0, 1.0], [2.0, 0.0], [-3.0, -0.5]], requires_grad=True)
    result = maximum(x, Segments(torch.tensor([0, 0, 1, 2]), 4))
    assert result.tolist() == [[0.0, 1.0], [2.0, 0.0], [-3.0, -0.5], [0.0, 0.0]]
    result.sum().backward()
    assert x.grad.tolist() == [[1.0, 0.5], [0.0, 0.5], [1.0, 1.0], [1.0, 1.0]]

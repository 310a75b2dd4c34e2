"""Comparing a fast form with a plain one."""

import torch
from torch import Tensor


def agree(fast: Tensor, plain: Tensor, *leaves: Tensor, tolerance: float = 1e-9) -> None:
    """Compare values, and the gradients of a random functional of them."""
    assert fast.shape == plain.shape
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    probe = torch.randn(fast.shape, dtype=fast.dtype, generator=torch.Generator().manual_seed(5))
    ours = torch.autograd.grad((fast * probe).sum(), leaves, allow_unused=True)
    theirs = torch.autograd.grad((plain * probe).sum(), leaves, allow_unused=True)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)

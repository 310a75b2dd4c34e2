"""Tests for samplers of users: `check_sampler` checks the contract of a sampler with a search."""

from archioptrx.sampling.samplers.conformance import check_sampler

__all__ = ["check_sampler"]

"""Tests for samplers of users: `check_sampler` checks all that a search expects of a sampler."""

from archioptrx.sampling.samplers.conformance import check_sampler

__all__ = ["check_sampler"]

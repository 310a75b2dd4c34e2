"""For those who write samplers: `check_sampler` holds one to all that the engine expects of it."""

from archioptrx.sampling.samplers.conformance import check_sampler

__all__ = ["check_sampler"]

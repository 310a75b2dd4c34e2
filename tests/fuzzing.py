"""Damaged files: many random ones from one test."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def fuzzed(examples, one_file):
    """Call `one_file(random, folder)` so many times, each time with another random generator and a new folder."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(st.randoms(use_true_random=False))
    def check(random):
        with tempfile.TemporaryDirectory() as name:
            one_file(random, Path(name))

    check()


def mutated_bytes(content, random):
    """A file with some bytes changed, cut off, or doubled."""
    content = bytearray(content)
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(content))
        content[place] = random.randrange(256)
    cut = random.randrange(4)
    return bytes(content[: random.randrange(len(content))] if cut == 0 else content)

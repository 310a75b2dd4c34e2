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
    """A file with some bytes changed or cut off.

    Places are drawn as shares of the length: pickles of equal objects may differ in it (by the identity of texts in
    them), and hypothesis wants the same draws whenever it repeats an example.
    """
    content = bytearray(content)
    for _ in range(random.randrange(1, 6)):
        content[int(random.random() * len(content))] = random.randrange(256)
    kept = random.random()
    return bytes(content[: int(kept * len(content))] if random.randrange(4) == 0 else content)

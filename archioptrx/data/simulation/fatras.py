"""Simulation of one event by Acts: particles from vertices, Fatras, digitization, and the CSV files of Acts.

Needs pyacts (extra `acts`). The detector is Acts' GenericDetector in a constant field. Particles scatter, lose energy
and radiate; photons convert. Measurements are true positions with Gaussian errors in both local coordinates.

Each event is a run of its own with a seed of its own, drawn from the user's seed and the event's number. In a run of
several events, Acts draws the seeds of a stage from the event's number and from the stage's place in the sequence, so
that an added writer changes the events. Here the sequence is always the same, and always writes.

Acts logs to the standard output, where results of commands stand: here to the standard error, and fatal errors only,
not the particles that it gives up after too many steps, about one in a thousand electrons.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.options.fatras import PARTICLES, FatrasOptions
from archioptrx.data.simulation.acts_fit import constant_field, generic_detector, new_sequencer

PITCH = {
    **dict.fromkeys((7, 8, 9), (0.05, 0.05)),
    **dict.fromkeys((12, 13, 14), (0.08, 1.2)),
    **dict.fromkeys((16, 17, 18), (0.12, 10.8)),
}
"""Size of a pixel or strip in both local coordinates by its volume, mm: that of TrackML's detector, with square pixels.
A position is measured with the standard deviation pitch / √12."""
PACKAGE = "pyacts"
SPACE = 1 << 16
"""Bytes that must be free after a run: more than what Acts keeps back of its files until the end."""
FIRST = "event000000000"
"""Name of the only event of a run of Acts."""


def pyacts_version(place: str = "data source fatras") -> str:
    """Version of pyacts.

    Parameters
    ----------
    place
        What needs it, the start of a message.

    Raises
    ------
    InputError
        It isn't installed.
    """
    try:
        return version(PACKAGE)
    except PackageNotFoundError as error:
        allowed = 'pip install "archioptrx[acts]"'
        raise InputError(f"{place}: needs pyacts, which isn't installed; allowed: {allowed}") from error


def digitization() -> dict[str, Any]:
    """Configuration of Acts' digitization, as it stands in a JSON file."""
    entries = []
    for volume, pitches in sorted(PITCH.items()):
        errors = [
            {"index": axis, "type": "Gauss", "mean": 0.0, "stddev": pitch / math.sqrt(12)}
            for axis, pitch in enumerate(pitches)
        ]
        entries.append({"volume": volume, "value": {"smearing": errors}})
    header = {"format-version": 0, "value-identifier": "digitization-configuration"}
    return {"acts-geometry-hierarchy-map": header, "entries": entries}


@cache
def measurement_errors() -> Any:
    """Measurement errors of the detector, the same for all events."""
    import acts.examples.json

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digitization.json"
        file.write_text(json.dumps(digitization()), encoding="utf-8")
        return acts.examples.json.readDigiConfigFromJson(str(file))


def event_seed(seed: int, number: int) -> int:
    """Seed of an event, below 2^64; other numbers and other seeds give others.

    >>> event_seed(0, 1) != event_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1, np.uint64)[0])


def simulate(options: FatrasOptions, number: int, folder: Path) -> None:
    """Simulate one event and write its CSV files.

    Parameters
    ----------
    options
        Options of the source `fatras`.
    number
        Number of the event. The event is the same however many events there are, and whatever else is written.
    folder
        Folder for `event…-{measurements,measurement-simhit-map,hits,particles,particles_simulated}.csv`.

    Raises
    ------
    InputError
        Acts ends with an error.
    """
    import acts
    import acts.examples

    name = f"event{number:09d}"
    with tempfile.TemporaryDirectory(dir=folder) as output:
        sequencer = new_sequencer(1, outputDir=output)
        random = acts.examples.RandomNumbers(seed=event_seed(options.seed, number))
        try:
            with _logged_as_error():
                _particles(sequencer, options, random)
                _detector_response(sequencer, options, random)
                _writers(sequencer, output)
                sequencer.run()
        except (RuntimeError, ValueError) as error:
            _check_space(Path(output))
            raise InputError(f"{name}: Acts ends with an error ({reason_of(error)}); allowed: other options") from error
        del sequencer  # closes the files
        _check_space(Path(output))
        for file in sorted(Path(output).glob(f"{FIRST}-*.csv")):
            file.replace(folder / file.name.replace(FIRST, name))


@contextmanager
def _logged_as_error() -> Iterator[None]:
    """Context in which Acts, which logs to the standard output, writes to the standard error."""
    try:
        output = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    sys.stdout.flush()
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)


def _check_space(folder: Path) -> None:
    """Raise OSError where nothing more can be written.

    Acts' writers say nothing if the last bytes of a file found no space (48.1.0).
    """
    file = folder / "space"
    file.write_bytes(bytes(SPACE))
    file.unlink()


def _particles(sequencer: Any, options: FatrasOptions, random: Any) -> None:
    """Vertices with particles: the first one, and those of the pile-up."""
    import acts
    import acts.examples
    import acts.examples.hepmc3

    examples, level = acts.examples, acts.logging.FATAL
    spread = (options.beam_spot, options.beam_spot, options.beam_length)
    vertex = examples.GaussianVertexGenerator(
        mean=acts.Vector4(0, 0, 0, 0), stddev=acts.Vector4(*(size * acts.UnitConstants.mm for size in spread), 0)
    )

    def collisions(count: int, particles: int) -> Any:
        gun = examples.ParametricParticleGenerator(
            p=(options.pt_low * acts.UnitConstants.GeV, options.pt_high * acts.UnitConstants.GeV),
            pTransverse=True,
            pLogUniform=options.spectrum == "log",
            eta=(-options.eta_high, options.eta_high),
            etaUniform=True,
            phi=(0.0, 2 * math.pi),
            numParticles=particles,
            pdg=acts.PdgParticle(PARTICLES[options.particle]),
            randomizeCharge=True,
        )
        multiplicity = examples.FixedMultiplicityGenerator(n=count)
        return examples.EventGenerator.Generator(multiplicity=multiplicity, vertex=vertex, particles=gun)

    generators = [collisions(1, options.particles)]
    generators += [collisions(options.pileup, options.pileup_particles)] if options.pileup else []
    sequencer.addReader(
        examples.EventGenerator(level=level, generators=generators, randomNumbers=random, outputEvent="generated")
    )
    sequencer.addAlgorithm(
        examples.hepmc3.HepMC3InputConverter(
            level=level,
            inputEvent="generated",
            outputParticles="particles",
            outputVertices="vertices",
            mergePrimaries=False,
        )
    )


def _detector_response(sequencer: Any, options: FatrasOptions, random: Any) -> None:
    """Simulated hits, and the measurements of them."""
    import acts
    import acts.examples

    (_, geometry), examples, level = generic_detector(), acts.examples, acts.logging.FATAL
    fatras = examples.FatrasSimulation(
        level=level,
        inputParticles="particles",
        outputParticles="particles_simulated",
        outputSimHits="hits",
        randomNumbers=random,
        trackingGeometry=geometry,
        magneticField=constant_field(options.field),
        generateHitsOnSensitive=True,
        emScattering=True,
        emEnergyLossIonisation=True,
        emEnergyLossRadiation=True,
        emPhotonConversion=True,
        pMin=options.p_min * acts.UnitConstants.GeV,
    )
    sequencer.addAlgorithm(fatras)
    config = examples.DigitizationAlgorithm.Config(
        digitizationConfigs=measurement_errors(),
        surfaceByIdentifier=geometry.geoIdSurfaceMap(),
        randomNumbers=random,
        inputSimHits="hits",
        outputClusters="clusters",
        outputMeasurements="measurements",
        outputMeasurementParticlesMap="measurement_particles",
        outputMeasurementSimHitsMap="measurement_hits",
        outputParticleMeasurementsMap="particle_measurements",
        outputSimHitMeasurementsMap="hit_measurements",
    )
    sequencer.addAlgorithm(examples.DigitizationAlgorithm(config, level))


def _writers(sequencer: Any, output: str) -> None:
    """The CSV files, at the end of the sequence. Without the clusters Acts writes no global positions, but NaN."""
    import acts
    import acts.examples

    examples, common = acts.examples, {"level": acts.logging.FATAL, "outputDir": output}
    for name in ("particles", "particles_simulated"):
        sequencer.addWriter(examples.CsvParticleWriter(inputParticles=name, outputStem=name, **common))
    sequencer.addWriter(examples.CsvSimHitWriter(inputSimHits="hits", outputStem="hits", **common))
    sequencer.addWriter(
        examples.CsvMeasurementWriter(
            inputMeasurements="measurements",
            inputMeasurementSimHitsMap="measurement_hits",
            inputClusters="clusters",
            **common,
        )
    )

#!/usr/bin/env bash
# Acts' example framework: does a seed give the same events whether or not they are written?
#
# One would guess so: a writer draws no random numbers. But each stage gets a seed from RandomNumbers.seed, the number of
# the event and its own place in the sequence, in which writers count. With a CSV writer of the generated particles before
# FatrasSimulation, the usual place, the same particles leave other hits: two studies with one seed, the one with files and
# the other without, are of two sets of events. Nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check pyacts==48.1.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import os

import acts
import acts.examples
from acts.examples.simulation import (
    EtaConfig,
    MomentumConfig,
    ParticleConfig,
    addFatras,
    addParticleGun,
)

LEVEL, GEV = acts.logging.ERROR, acts.UnitConstants.GeV
detector = acts.examples.GenericDetector(acts.examples.GenericDetector.Config(logLevel=LEVEL))
field = acts.ConstantBField(acts.Vector3(0, 0, 2 * acts.UnitConstants.T))


def simulated(folder, written_before):
    """The generated particles and the hits of one event, as text."""
    os.mkdir(folder)
    random = acts.examples.RandomNumbers(seed=42)
    sequencer = acts.examples.Sequencer(events=1, numThreads=1, logLevel=LEVEL, trackFpes=False, outputTimingFile="")
    addParticleGun(
        sequencer,
        MomentumConfig(1 * GEV, 10 * GEV, transverse=True),
        EtaConfig(-2.0, 2.0),
        particleConfig=ParticleConfig(10, acts.PdgParticle.ePionPlus),
        rnd=random,
        outputDirCsv=folder if written_before else None,
    )
    addFatras(sequencer, detector.trackingGeometry(), field, rnd=random, outputDirCsv=folder)
    if not written_before:
        particles = {"inputParticles": "particles_generated", "outputStem": "particles"}
        sequencer.addWriter(acts.examples.CsvParticleWriter(level=LEVEL, outputDir=folder, **particles))
    sequencer.run()
    return [open(f"{folder}/event000000000-{name}.csv").read() for name in ("particles", "hits")]


print("acts", acts.version.major, acts.version.minor, acts.version.patch)
(particles, hits), (same_particles, other_hits) = simulated("after", False), simulated("before", True)
print("generated particles equal:", particles == same_particles)
print("hits equal:", hits == other_hits)
print("first hit, particles written after: ", hits.splitlines()[1])
print("first hit, particles written before:", other_hits.splitlines()[1])
assert particles == same_particles and hits != other_hits, "a writer before the simulation changes nothing any more"
PYTHON

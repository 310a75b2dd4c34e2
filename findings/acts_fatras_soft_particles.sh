#!/usr/bin/env bash
# Acts' Fatras through its Python functions: are the particles simulated that the particle gun makes?
#
# One would guess so, or that the log says which aren't. But FatrasSimulation.pMin is 0.5 GeV unless addFatras gets a
# pMin: softer particles leave no hit, and they aren't in particles_simulated.csv either, without a line in the log at
# the level INFO. Efficiencies from 0.3 GeV on are then those of the particles above 0.5 GeV.
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

GEV = acts.UnitConstants.GeV
detector = acts.examples.GenericDetector(acts.examples.GenericDetector.Config(logLevel=acts.logging.ERROR))
field = acts.ConstantBField(acts.Vector3(0, 0, 2 * acts.UnitConstants.T))


def rows(folder, **options):
    """Number of generated particles, of simulated ones, and of hits, of one event of pions of 0.4 GeV."""
    os.mkdir(folder)
    random = acts.examples.RandomNumbers(seed=42)
    sequencer = acts.examples.Sequencer(events=1, numThreads=1, logLevel=acts.logging.INFO, trackFpes=False)
    pions = ParticleConfig(100, acts.PdgParticle.ePionPlus)
    momenta = MomentumConfig(0.4 * GEV, 0.45 * GEV, transverse=True)
    addParticleGun(
        sequencer, momenta, EtaConfig(-0.1, 0.1), particleConfig=pions, rnd=random, outputDirCsv=folder
    )
    addFatras(sequencer, detector.trackingGeometry(), field, rnd=random, outputDirCsv=folder, **options)
    sequencer.run()
    names = ("particles", "particles_simulated", "hits")
    return [len(open(f"{folder}/event000000000-{name}.csv").readlines()) - 1 for name in names]


print("acts", acts.version.major, acts.version.minor, acts.version.patch)
default, low = rows("default"), rows("low", pMin=0.1 * GEV)
print("particles, simulated particles, hits")
print("pMin by default:", default)
print("pMin 0.1 GeV:   ", low)
assert default[1:] == [0, 0] and low[1] == 100 and low[2] > 0, "soft particles are simulated by default now"
PYTHON

"""Pulls and residuals that Acts itself gives for fitted tracks, as a program of its own.

    python acts_pulls.py CSV_FOLDER TRACKS.json

TRACKS.json: for each event, tracks as lists of measurement numbers. Acts fits and matches them, fills its histograms,
and writes the proto tracks beside the file.
"""

import json
import sys
from pathlib import Path

import acts.examples as examples
from acts_figures import LEVEL, Read, Subset

from archioptrx.data.simulation.acts_fit import constant_field, generic_detector, kalman_fit, new_sequencer


def main(folder, tracks, output):
    sequencer, (_, geometry), stem = new_sequencer(len(tracks)), generic_detector(), "particles_simulated"
    sequencer.addReader(examples.CsvParticleReader(level=LEVEL, inputDir=folder, inputStem=stem, outputParticles=stem))
    config = examples.ParticleSelector.Config(
        inputParticles=stem, outputParticles="selected", inputParticleMeasurementsMap="particle_measurements_map"
    )
    config.ptMin, config.measurementsMin, config.removeNeutral = 1.0, 7, True
    matcher = examples.TrackTruthMatcher(
        level=LEVEL,
        inputTracks="tracks",
        inputParticles=stem,
        inputMeasurementParticlesMap="measurement_particles_map",
        outputTrackParticleMatching="of_tracks",
        outputParticleTrackMatching="of_particles",
        doubleMatching=True,
    )
    selector = examples.ParticleSelector(level=LEVEL, config=config)
    for algorithm in (
        Read(folder, tracks),
        Subset(),
        *kalman_fit(geometry, constant_field(2.0)),
        selector,
        matcher,
    ):
        sequencer.addAlgorithm(algorithm)
    writer = examples.PythonTrackParameterPerformanceWriter(
        level=LEVEL, inputTracks="tracks", inputParticles="selected", inputTrackParticleMatching="of_tracks"
    )
    sequencer.addWriter(writer)
    proto_tracks = {"inputProtoTracks": "proto_tracks", "inputSpacePoints": "spacepoints", "outputDir": str(output)}
    sequencer.addWriter(examples.CsvProtoTrackWriter(level=LEVEL, **proto_tracks))
    sequencer.run()
    names = [f"{kind}_{name}" for kind in ("pull", "res") for name in ("d0", "z0", "phi", "theta", "qop")]
    return {name: contents(writer.histograms()[name]) for name in names}


def contents(histogram):
    """Edges and contents of the bins, without those beyond the range."""
    table = histogram.histogram
    return {"edges": [*map(float, table.axis(0).edges)], "counts": [*map(float, table.values())]}


if __name__ == "__main__":
    tracks_file = Path(sys.argv[2])
    found = main(sys.argv[1], json.loads(tracks_file.read_text()), tracks_file.parent)
    tracks_file.with_suffix(".pulls.json").write_text(json.dumps(found))

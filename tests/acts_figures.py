"""Figures that Acts itself gives for tracks, as a program of its own: python acts_figures.py CSV_FOLDER TRACKS.json.

TRACKS.json: for each event, tracks as lists of measurement numbers. Acts matches them to particles with and without
`doubleMatching`, and counts. The file is read here, in its own order: Acts' reader of measurements changes the order.
"""

import json
import sys
from pathlib import Path

import acts
import acts.examples as examples
import pandas as pd

LEVEL = acts.logging.FATAL
NAME = ["particle_id_pv", "particle_id_sv", "particle_id_part", "particle_id_gen", "particle_id_subpart"]
MAPS = {
    "measurements": examples.MeasurementContainer,
    "measurement_particles_map": examples.MeasurementParticlesMap,
    "particle_measurements_map": examples.ParticleMeasurementsMap,
    "proto_tracks": examples.ProtoTrackContainer,
}


class Read(examples.IAlgorithm):
    def __init__(self, folder, tracks):
        super().__init__("Read", LEVEL)
        self.folder, self.tracks = folder, tracks
        self.particles = examples.ReadDataHandle(self, examples.SimParticleContainer, "particles")
        self.particles.initialize("particles_simulated")
        self.out = {name: examples.WriteDataHandle(self, kind, name) for name, kind in MAPS.items()}
        for name, handle in self.out.items():
            handle.initialize(name)

    def execute(self, context):
        stem = f"{self.folder}/event{context.eventNumber:09d}-"
        rows = pd.read_csv(stem + "measurements.csv", dtype={"geometry_id": "uint64"}, encoding="latin-1")
        hits, links = pd.read_csv(stem + "hits.csv"), pd.read_csv(stem + "measurement-simhit-map.csv")
        known = {}
        for particle in self.particles(context.eventStore):
            own = particle.particleId
            known[own.vertexPrimary, own.vertexSecondary, own.particle, own.generation, own.subParticle] = own
        measurements, owners = examples.MeasurementContainer(), examples.MeasurementParticlesMap()
        for row in rows.itertuples():
            place, errors = [row.local0, row.local1], [row.var_local0, row.var_local1]
            measurements.emplaceMeasurement(acts.GeometryIdentifier(int(row.geometry_id)), [0, 1], place, errors)
        for measurement, hit in links.itertuples(index=False):
            owners.insert(int(measurement), known[tuple(hits[NAME].iloc[hit].tolist())])
        tracks = examples.ProtoTrackContainer()
        for numbers in self.tracks[context.eventNumber]:
            tracks.append(examples.ProtoTrack(numbers))
        self.out["particle_measurements_map"](context, owners.invert())
        self.out["measurements"](context, measurements)
        self.out["measurement_particles_map"](context, owners)
        self.out["proto_tracks"](context, tracks)
        return examples.ProcessCode.SUCCESS


class Subset(examples.IAlgorithm):
    def __init__(self):
        super().__init__("Subset", LEVEL)
        self.all = examples.ReadDataHandle(self, examples.MeasurementContainer, "all")
        self.all.initialize("measurements")
        self.subset = examples.WriteDataHandle(self, examples.MeasurementSubset, "subset")
        self.subset.initialize("subset")

    def execute(self, context):
        measurements = self.all(context.eventStore)
        self.subset(context, examples.MeasurementSubset(measurements, list(range(len(measurements)))))
        return examples.ProcessCode.SUCCESS


def main(folder, tracks):
    events = len(tracks)
    sequencer = examples.Sequencer(events=events, numThreads=1, logLevel=LEVEL, trackFpes=False, outputTimingFile="")
    stem = "particles_simulated"
    sequencer.addReader(examples.CsvParticleReader(level=LEVEL, inputDir=folder, inputStem=stem, outputParticles=stem))
    sequencer.addAlgorithm(Read(folder, tracks))
    sequencer.addAlgorithm(Subset())
    sequencer.addAlgorithm(
        examples.ProtoTracksToTracks(
            level=LEVEL, inputProtoTracks="proto_tracks", inputMeasurements="subset", outputTracks="tracks"
        )
    )
    config = examples.ParticleSelector.Config(
        inputParticles=stem, outputParticles="selected", inputParticleMeasurementsMap="particle_measurements_map"
    )
    config.ptMin, config.measurementsMin, config.removeNeutral = 1.0, 7, True
    sequencer.addAlgorithm(examples.ParticleSelector(level=LEVEL, config=config))
    writers = {}
    for name in ("double", "single"):
        matching = {
            "inputTrackParticleMatching": f"{name}_of_tracks",
            "inputParticleTrackMatching": f"{name}_of_particles",
        }
        sequencer.addAlgorithm(
            examples.TrackTruthMatcher(
                level=LEVEL,
                inputTracks="tracks",
                inputParticles=stem,
                inputMeasurementParticlesMap="measurement_particles_map",
                outputTrackParticleMatching=f"{name}_of_tracks",
                outputParticleTrackMatching=f"{name}_of_particles",
                doubleMatching=name == "double",
            )
        )
        writers[name] = examples.PythonPatternRecognitionPerformanceWriter(
            level=LEVEL,
            inputTracks="tracks",
            inputParticles="selected",
            inputParticleMeasurementsMap="particle_measurements_map",
            **matching,
        )
        sequencer.addWriter(writers[name])
    sequencer.run()
    return {
        name: {key: n for key, n in dict(w.stats()).items() if key != "subDetectors"} for name, w in writers.items()
    }


if __name__ == "__main__":
    figures = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
    Path(sys.argv[2]).with_suffix(".figures.json").write_text(json.dumps(figures, default=float))

#!/usr/bin/env bash
# Acts' example framework: do fits of the same tracks have the same errors, however their start parameters are made?
#
# ProtoTracksToParameters makes seeds and start parameters of proto tracks in one algorithm; ProtoTracksToSeeds and
# TrackParamsEstimationAlgorithm do it in two. One would guess that a Kalman fit after either is the same: both estimate from
# three space points, and a fit should forget where it began. But the first one has no settings for the errors of its
# estimate (the second has initialSigmas and others), and after it the pulls of d0 and z0, of true muon tracks without a wrong
# hit, are nearly twice as wide as they should be; after the second they have a width of 1. All fits succeed, and nothing
# says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check pyacts==48.1.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import json
import math

import acts
import acts.examples as examples
import acts.examples.json
from acts.examples.simulation import (
    EtaConfig,
    MomentumConfig,
    ParticleConfig,
    PhiConfig,
    addDigitization,
    addFatras,
    addParticleGun,
)

LEVEL, UNITS = acts.logging.FATAL, acts.UnitConstants
detector = examples.GenericDetector(examples.GenericDetector.Config(logLevel=LEVEL))
geometry = detector.trackingGeometry()
field = acts.ConstantBField(acts.Vector3(0, 0, 2 * UNITS.T))
VOLUMES = (7, 8, 9, 12, 13, 14, 16, 17, 18)
smearing = [{"index": axis, "type": "Gauss", "mean": 0.0, "stddev": 0.02} for axis in (0, 1)]
with open("digi.json", "w") as file:
    json.dump(
        {
            "acts-geometry-hierarchy-map": {"format-version": 0, "value-identifier": "digitization-configuration"},
            "entries": [{"volume": volume, "value": {"smearing": smearing}} for volume in VOLUMES],
        },
        file,
    )


class Parameters(examples.IAlgorithm):
    """d0 and z0 of each fitted track, and their errors."""

    def __init__(self, rows):
        super().__init__("Parameters", LEVEL)
        self.rows = rows
        self.tracks = examples.ReadDataHandle(self, examples.ConstTrackContainer, "tracks")
        self.tracks.initialize("tracks")

    def execute(self, context):
        for track in self.tracks(context.eventStore):
            if track.hasReferenceSurface:
                covariance, values = track.covariance, list(track.parameters)
                self.rows.append([(values[i], math.sqrt(covariance[i, i])) for i in (0, 1)])
        return examples.ProcessCode.SUCCESS


def fitted(start):
    """Rows of `Parameters` of 2,000 muons of 1 to 10 GeV from the origin, fitted from these start parameters."""
    rows, random = [], examples.RandomNumbers(seed=42)
    sequencer = examples.Sequencer(events=20, numThreads=1, logLevel=LEVEL, trackFpes=False, outputTimingFile="")
    addParticleGun(
        sequencer,
        MomentumConfig(1 * UNITS.GeV, 10 * UNITS.GeV, transverse=True),
        EtaConfig(-2.0, 2.0, uniform=True),
        PhiConfig(0.0, 2 * math.pi),
        ParticleConfig(100, acts.PdgParticle.eMuon, randomizeCharge=True),
        vtxGen=examples.GaussianVertexGenerator(mean=acts.Vector4(0, 0, 0, 0), stddev=acts.Vector4(0, 0, 0, 0)),
        rnd=random,
    )
    addFatras(sequencer, geometry, field, rnd=random)
    addDigitization(sequencer, geometry, field, digiConfigFile="digi.json", rnd=random)
    names = {
        "inputParticles": "particles_simulated",
        "inputParticleMeasurementsMap": "particle_measurements_map",
        "inputSimHits": "simhits",
        "inputMeasurementSimHitsMap": "measurement_simhits_map",
        "inputMeasurements": "measurements",
    }
    sequencer.addAlgorithm(examples.TruthTrackFinder(level=LEVEL, outputProtoTracks="true_tracks", **names))
    for algorithm in start():
        sequencer.addAlgorithm(algorithm)
    sequencer.addAlgorithm(
        examples.TrackFittingAlgorithm(
            level=LEVEL,
            inputMeasurements="measurements",
            inputProtoTracks="started_tracks",
            inputInitialTrackParameters="parameters",
            inputClusters="",
            outputTracks="tracks",
            pickTrack=-1,
            fit=examples.makeKalmanFitterFunction(
                geometry,
                field,
                multipleScattering=True,
                energyLoss=True,
                reverseFilteringMomThreshold=0.0,
                reverseFilteringCovarianceScaling=100.0,
                freeToBoundCorrection=examples.FreeToBoundCorrection(False),
                level=LEVEL,
                chi2Cut=float("inf"),
                useJosephFormulation=False,
            ),
            calibrator=examples.makePassThroughCalibrator(),
            linkForward=False,
            referenceSurface=acts.Surface.createPerigee(acts.Vector3(0, 0, 0)),
        )
    )
    sequencer.addAlgorithm(Parameters(rows))
    sequencer.run()
    return rows


class All(examples.IAlgorithm):
    """All measurements, in the form that the maker of space points takes."""

    def __init__(self):
        super().__init__("All", LEVEL)
        self.measurements = examples.ReadDataHandle(self, examples.MeasurementContainer, "measurements")
        self.measurements.initialize("measurements")
        self.subset = examples.WriteDataHandle(self, examples.MeasurementSubset, "measurements_subset")
        self.subset.initialize("measurements_subset")

    def execute(self, context):
        measurements = self.measurements(context.eventStore)
        self.subset(context, examples.MeasurementSubset(measurements, list(range(len(measurements)))))
        return examples.ProcessCode.SUCCESS


def space_points():
    return examples.SpacePointMaker(
        level=LEVEL,
        inputMeasurements="measurements_subset",
        outputSpacePoints="spacepoints",
        trackingGeometry=geometry,
        geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in VOLUMES],
        stripGeometrySelection=[],
    )


COMMON = {
    "level": LEVEL,
    "outputProtoTracks": "started_tracks",
    "spacePointSelection": examples.SeedSpacePointSelection.SpreadTriplet,
    "magneticField": field,
}


def in_one():
    """Start parameters by the algorithm that makes seeds and parameters of proto tracks."""
    names = {"inputProtoTracks": "true_tracks", "inputSpacePoints": "spacepoints"}
    made = {"outputSeeds": "seeds", "outputParameters": "parameters", "geometry": geometry}
    return [All(), space_points(), examples.ProtoTracksToParameters(**names, **made, **COMMON)]


def in_two():
    """Start parameters by the two algorithms for the two steps, at their default errors."""
    names = {"inputProtoTracks": "true_tracks", "inputSpacePoints": "spacepoints"}
    seeds = examples.ProtoTracksToSeeds(level=LEVEL, outputProtoTracks="seeded", outputSeeds="seeds", **names)
    names = {"inputProtoTracks": "seeded", "inputSeeds": "seeds"}
    made = {"outputSeeds": "estimated", "outputTrackParameters": "parameters", "trackingGeometry": geometry}
    return [All(), space_points(), seeds, examples.TrackParamsEstimationAlgorithm(**names, **made, **COMMON)]


def width(rows, which):
    """Half of the range that holds the middle 68 % of the pulls. The true value is 0."""
    pulls = sorted(row[which][0] / row[which][1] for row in rows)
    return (pulls[int(0.84 * len(pulls))] - pulls[int(0.16 * len(pulls))]) / 2


print("acts", acts.version.major, acts.version.minor, acts.version.patch)
found = {}
for start in (in_one, in_two):
    rows = fitted(start)
    found[start.__name__] = width(rows, 0), width(rows, 1)
    print(start.__name__, len(rows), "tracks; width of the pulls of d0 and z0: %.2f %.2f" % found[start.__name__])
assert min(found["in_one"]) > 1.4, "fits after ProtoTracksToParameters have right errors now"
assert max(found["in_two"]) < 1.2, "fits after TrackParamsEstimationAlgorithm have wrong errors now"
PYTHON

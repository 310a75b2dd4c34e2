"""Track finding and fitting by Acts itself, on measurements that are given. Needs pyacts (extra `acts`).

    ckf     grid triplets of pixel hits as seeds, estimate of their parameters, combinatorial Kalman filter, greedy
            ambiguity resolution
    truth   the true track of each particle, its parameters by a spread triplet of hits, Kalman fit: what a fit reaches

Settings are those of Acts' own examples for its GenericDetector. Measurements keep the order in which they are given:
`CsvMeasurementReader` changes that of the measurements on one module.

It is a program of its own, `python -m archioptrx.data.simulation.acts_chain FOLDER`, for Acts prints to the standard
output and may end the process. FOLDER holds `job.json`, the `Job`, and a file for each event, `0.npz`, `1.npz` …:

    geometry_id [N], local [N, 2], variance [N, 2]    the measurements
    hit [H], particle [H]                             for `truth`: measurements of each particle along its track

It gets `0.tracks.npz` …: `hit` and `track` of each measurement of a track (one of several tracks stands several times),
and `seconds`, the time of the process for each of `stages`, without reading and writing. The first event is run twice,
the first time for what Acts prepares once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.simulation.fatras import pyacts_version, simulated_detector

CHAINS = ("ckf", "truth")
PIXELS = (7, 8, 9)
VOLUMES = (*PIXELS, 12, 13, 14, 16, 17, 18)
"""Volumes with pixels, whose hits make seeds, and all volumes."""
LEAST = 7
"""Least number of measurements of a track of the filter."""
SEED_PT, TRACK_PT = 0.5, 0.5
"""Least transverse momentum of seeds and of tracks of the filter, GeV."""
SEEDING, FILTER, RESOLUTION, FIT = "seeding", "Kalman filter", "ambiguity resolution", "Kalman fit"
"""Stages whose time is measured. Seeding: space points, seeds, and the parameters with which tracks begin."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Job:
    """What is to be run.

    Attributes
    ----------
    chain
        One of `CHAINS`.
    events
        Number of events.
    field
        Magnetic field along the beam, tesla.
    """

    chain: str
    events: int
    field: float


@dataclass(frozen=True, eq=False)
class FoundByActs:
    """Tracks that Acts found in one event.

    Attributes
    ----------
    hit, track : int64 [H]
        Rows of measurements, and the track of each.
    seconds
        Time of the process for each stage, on one thread.
    """

    hit: Ints
    track: Ints
    seconds: Mapping[str, float]


def run_chain(chain: str, field: float, events: Sequence[Mapping[str, NDArray[Any]]]) -> list[FoundByActs]:
    """Find the tracks of events in a process of its own.

    Parameters
    ----------
    chain
        One of `CHAINS`.
    field
        Magnetic field along the beam, tesla.
    events
        Arrays of each event, see above.

    Raises
    ------
    InputError
        pyacts isn't installed, or Acts ends with an error.
    """
    pyacts_version(f"acts:{chain}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(asdict(Job(chain, len(events), field))), encoding="utf-8")
        for number, arrays in enumerate(events):
            np.savez(folder / f"{number}.npz", **dict(arrays))  # type: ignore[arg-type]
        command = [sys.executable, "-P", "-m", __spec__.name, name]  # -P: nothing of the working folder is imported
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode:
            reason = lines[-1] if lines else f"exit code {done.returncode}"
            raise InputError(f"acts:{chain}: Acts ends with an error ({reason}); allowed: other events")
        return [_read(folder / f"{number}.tracks.npz") for number in range(len(events))]


def _read(file: Path) -> FoundByActs:
    with np.load(file) as arrays:
        seconds = dict(zip(arrays["stages"].tolist(), arrays["seconds"].tolist(), strict=True))
        return FoundByActs(arrays["hit"], arrays["track"], seconds)


def main(folder: Path) -> None:
    """Run the job of a folder."""
    import acts
    import acts.examples

    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    shared = simulated_detector()
    sequencer = acts.examples.Sequencer(
        events=job.events + 1, numThreads=1, logLevel=acts.logging.FATAL, trackFpes=False, outputTimingFile=""
    )
    field = acts.ConstantBField(acts.Vector3(0, 0, job.field * acts.UnitConstants.T))
    ends: list[float] = []
    for algorithm in _given(folder, job.chain):
        sequencer.addAlgorithm(algorithm)
    sequencer.addAlgorithm(_clock("Begin", ends))
    stages = _filter(shared.geometry, field, job.field) if job.chain == "ckf" else _fit(shared.geometry, field)
    for stage, algorithms in stages.items():
        for algorithm in algorithms:
            sequencer.addAlgorithm(algorithm)
        sequencer.addAlgorithm(_clock(f"After {stage}", ends))
    sequencer.addAlgorithm(_taken(folder, list(stages), ends))
    sequencer.run()


def _given(folder: Path, chain: str) -> list[Any]:
    """Algorithms that give the measurements of an event, all of them to be used, and its true tracks."""
    import acts
    import acts.examples as examples

    level = acts.logging.FATAL

    class Given(examples.IAlgorithm):  # type: ignore[misc]
        """Measurements and true tracks."""

        def __init__(self) -> None:
            super().__init__("Given", level)
            self.measurements = examples.WriteDataHandle(self, examples.MeasurementContainer, "measurements")
            self.measurements.initialize("measurements")
            self.tracks = examples.WriteDataHandle(self, examples.ProtoTrackContainer, "true_tracks")
            self.tracks.initialize("true_tracks")

        def execute(self, context: Any) -> Any:
            """Read the arrays of the event."""
            with np.load(folder / f"{_event(context)}.npz") as file:
                arrays = {name: file[name].tolist() for name in file.files}
            container, tracks = examples.MeasurementContainer(), examples.ProtoTrackContainer()
            for module, place, errors in zip(arrays["geometry_id"], arrays["local"], arrays["variance"], strict=True):
                container.emplaceMeasurement(acts.GeometryIdentifier(module), [0, 1], place, errors)
            for hits in _of_each(arrays["particle"], arrays["hit"]) if chain == "truth" else ():
                tracks.append(examples.ProtoTrack(hits))
            self.measurements(context, container)
            self.tracks(context, tracks)
            return examples.ProcessCode.SUCCESS

    class Subset(examples.IAlgorithm):  # type: ignore[misc]
        """All measurements. An algorithm of its own: what was handed over can't be read where it was made."""

        def __init__(self) -> None:
            super().__init__("Subset", level)
            self.measurements = examples.ReadDataHandle(self, examples.MeasurementContainer, "measurements")
            self.measurements.initialize("measurements")
            self.subset = examples.WriteDataHandle(self, examples.MeasurementSubset, "subset")
            self.subset.initialize("subset")

        def execute(self, context: Any) -> Any:
            """Take all."""
            measurements = self.measurements(context.eventStore)
            self.subset(context, examples.MeasurementSubset(measurements, list(range(len(measurements)))))
            return examples.ProcessCode.SUCCESS

    return [Given(), Subset()]


def _event(context: Any) -> int:
    """Number of the event: the first one is run twice."""
    return max(0, int(context.eventNumber) - 1)


def _of_each(particle: Iterable[int], hit: Iterable[int]) -> list[list[int]]:
    """Hits of each particle, in the given order."""
    hits: dict[int, list[int]] = {}
    for owner, row in zip(particle, hit, strict=True):
        hits.setdefault(owner, []).append(row)
    return list(hits.values())


def _clock(name: str, ends: list[float]) -> Any:
    """Algorithm that notes the time of the process: of work alone, not of waiting for a processor."""
    import acts
    import acts.examples as examples

    class Clock(examples.IAlgorithm):  # type: ignore[misc]
        """Time of the process."""

        def __init__(self) -> None:
            super().__init__(name, acts.logging.FATAL)

        def execute(self, context: Any) -> Any:
            """Note the time."""
            ends.append(time.process_time())
            return examples.ProcessCode.SUCCESS

    return Clock()


def _taken(folder: Path, stages: Sequence[str], ends: list[float]) -> Any:
    """Algorithm that writes the tracks, and the time of each stage, between the last of the noted ends."""
    import acts
    import acts.examples as examples

    class Taken(examples.IAlgorithm):  # type: ignore[misc]
        """Measurements of the tracks, without outliers and holes."""

        def __init__(self) -> None:
            super().__init__("Taken", acts.logging.FATAL)
            self.tracks = examples.ReadDataHandle(self, examples.ConstTrackContainer, "tracks")
            self.tracks.initialize("tracks")

        def execute(self, context: Any) -> Any:
            """Write one event."""
            link = examples.IndexSourceLink.fromSourceLink
            pairs = [
                (link(state.uncalibratedSourceLink).index(), number)
                for number, track in enumerate(self.tracks(context.eventStore))
                for state in track.trackStatesReversed
                if state.typeFlags.isMeasurement
            ]
            hit, track = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
            file = folder / f"{_event(context)}.tracks.npz"
            np.savez(file, hit=hit, track=track, stages=stages, seconds=np.diff(ends[-len(stages) - 1 :]))
            return examples.ProcessCode.SUCCESS

    return Taken()


def _space_points(geometry: Any, volumes: Sequence[int]) -> Any:
    """Algorithm that makes a space point of each measurement in some volumes."""
    import acts
    import acts.examples as examples

    return examples.SpacePointMaker(
        level=acts.logging.FATAL,
        inputMeasurements="subset",
        outputSpacePoints="spacepoints",
        trackingGeometry=geometry,
        geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in volumes],
        stripGeometrySelection=[],
    )


def _filter(geometry: Any, field: Any, tesla: float) -> dict[str, list[Any]]:
    """Algorithms of the combinatorial Kalman filter by their stages, from space points to resolved tracks."""
    import acts
    import acts.examples as examples

    units, level = acts.UnitConstants, acts.logging.FATAL
    seeding = examples.GridTripletSeedingAlgorithm(
        level=level,
        inputSpacePoints="spacepoints",
        outputSeeds="seeds",
        bFieldInZ=tesla * units.T,
        minPt=SEED_PT * units.GeV,
        cotThetaMax=8.0,
        impactMax=3 * units.mm,
        **{f"deltaRMin{end}": 1 * units.mm for end in ("", "Top", "Bottom")},
        **{f"deltaRMax{end}": 200 * units.mm for end in ("", "Top", "Bottom")},
        rMax=200 * units.mm,
        zMin=-2000 * units.mm,
        zMax=2000 * units.mm,
        collisionRegionMin=-250 * units.mm,
        collisionRegionMax=250 * units.mm,
        sigmaScattering=5,
        radLengthPerSeed=0.1,
        maxSeedsPerSpM=3,
    )
    estimate = examples.TrackParamsEstimationAlgorithm(
        level=level,
        inputSeeds="seeds",
        outputSeeds="estimated_seeds",
        outputTrackParameters="parameters",
        trackingGeometry=geometry,
        magneticField=field,
        **_initial_errors(),
    )
    resolution = examples.GreedyAmbiguityResolutionAlgorithm(
        level=level,
        inputTracks="found",
        outputTracks="tracks",
        maximumSharedHits=3,
        maximumIterations=100_000,
        nMeasurementsMin=LEAST,
    )
    return {
        SEEDING: [_space_points(geometry, PIXELS), seeding, estimate],
        FILTER: [_tracks(geometry, field)],
        RESOLUTION: [resolution],
    }


def _initial_errors() -> dict[str, Any]:
    """Errors of the parameters with which a track begins."""
    import acts

    units = acts.UnitConstants
    sigmas = [1 * units.mm, 1 * units.mm, 1 * units.degree, 1 * units.degree, 0 / units.GeV, 1 * units.ns]
    return {
        "initialSigmas": sigmas,
        "initialSigmaQoverPt": 0.1 / units.GeV,
        "initialSigmaPtRel": 0.1,
        "initialVarInflation": [1.0] * 6,
    }


def _tracks(geometry: Any, field: Any) -> Any:
    """Algorithm that follows seeds by the combinatorial Kalman filter."""
    import acts
    import acts.examples as examples

    units, level = acts.UnitConstants, acts.logging.FATAL
    cuts: tuple[list[float], ...] = (
        [],
        [15.0],
        [25.0],
        [10],
    )  # χ² of measurements and of outliers; measurements tried on each surface
    finder = examples.TrackFindingAlgorithm
    return finder(
        level=level,
        measurementSelectorCfg=acts.MeasurementSelector.Config([(acts.GeometryIdentifier(), cuts)]),
        inputMeasurements="subset",
        inputInitialTrackParameters="parameters",
        inputSeeds="estimated_seeds",
        outputTracks="found",
        findTracks=finder.makeTrackFinderFunction(geometry, field, level),
        findTracksBrem=finder.makeBremTrackFinderFunction(geometry, field, level),
        trackingGeometry=geometry,
        magneticField=field,
        trackSelectorCfg=acts.TrackSelector.Config(
            loc0Min=-4 * units.mm,
            loc0Max=4 * units.mm,
            absEtaMax=3.0,
            ptMin=TRACK_PT * units.GeV,
            minMeasurements=LEAST,
        ),
        twoWay=True,
        reverseSearch=False,
        seedDeduplication=True,
        stayOnSeed=True,
    )


def _fit(geometry: Any, field: Any) -> dict[str, list[Any]]:
    """Algorithms of the Kalman fit of true tracks by their stages."""
    import acts
    import acts.examples as examples

    level = acts.logging.FATAL
    parameters = examples.ProtoTracksToParameters(
        level=level,
        inputProtoTracks="true_tracks",
        inputSpacePoints="spacepoints",
        outputProtoTracks="estimated_tracks",
        outputSeeds="seeds",
        outputParameters="parameters",
        spacePointSelection=examples.SeedSpacePointSelection.SpreadTriplet,
        geometry=geometry,
        magneticField=field,
    )
    fit = examples.makeKalmanFitterFunction(
        geometry,
        field,
        multipleScattering=True,
        energyLoss=True,
        reverseFilteringMomThreshold=0.0,
        reverseFilteringCovarianceScaling=100.0,
        freeToBoundCorrection=examples.FreeToBoundCorrection(False),
        level=level,
        chi2Cut=float("inf"),
        useJosephFormulation=False,
    )
    fitting = examples.TrackFittingAlgorithm(
        level=level,
        inputMeasurements="measurements",
        inputProtoTracks="estimated_tracks",
        inputInitialTrackParameters="parameters",
        inputClusters="",
        outputTracks="tracks",
        pickTrack=-1,
        fit=fit,
        calibrator=examples.makePassThroughCalibrator(),
        linkForward=False,
        referenceSurface=acts.Surface.createPerigee(acts.Vector3(0, 0, 0)),
    )
    return {SEEDING: [_space_points(geometry, VOLUMES), parameters], FIT: [fitting]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))

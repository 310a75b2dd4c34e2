"""Kalman fit of proto tracks by Acts in its GenericDetector. Needs pyacts alone: pip install pyacts==48.1.0

    python fit.py [FOLDER] [--output FOLDER] [--field TESLA]

FOLDER (the one of this file, unless it is given) has two files for each event:

    event…-measurements.csv   measurements, as Acts' CsvMeasurementWriter writes them
    event…-prototracks.csv    trackId, measurementId, x, y, z, as Acts' CsvProtoTrackWriter writes them: a row for each
                              measurement of a track, by its measurement_id

The other folder (the same one, unless it is given) gets `event…-track_parameters.csv` in the columns of Acts'
CsvTrackParameterWriter: the parameters of each fitted track at the beam line, with their covariances, in mm, rad and
1/GeV. `trackId` is that of the proto track; a track that Acts couldn't fit has no row. Its number is printed.

A space point of each measurement, a triplet of them for the start parameters (the first, the middle and the last one),
and a Kalman fit with scattering and energy loss of a pion. Settings are those of Acts' own examples, errors of the
start parameters too. Measurements keep their order: Acts' CsvMeasurementReader changes it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PIXELS = (7, 8, 9)
VOLUMES = (*PIXELS, 12, 13, 14, 16, 17, 18)
"""Volumes with pixels, and all volumes of the GenericDetector."""
FIELD = 2.0
"""Field of Acts' examples for this detector, tesla."""
NAMES = ("d0", "z0", "phi", "theta", "qop")
"""Parameters of a track at the beam line, as Acts names and orders them."""


class Measured(NamedTuple):
    """Measurements of an event, and tracks of them.

    Attributes
    ----------
    modules
        Geometry identifier of each measurement.
    places, variances
        Both local coordinates of each, mm, and their variances.
    tracks
        Rows of the measurements of each track.
    """

    modules: Sequence[int]
    places: Sequence[Sequence[float]]
    variances: Sequence[Sequence[float]]
    tracks: Sequence[Sequence[int]]


class FittedTrack(NamedTuple):
    """A track that Acts fitted.

    Attributes
    ----------
    rows
        Rows of its measurements, without those that the fit left out.
    parameters, covariance
        Five parameters at the beam line, `NAMES`, and their covariances, in mm, rad and 1/GeV.
    """

    rows: list[int]
    parameters: list[float]
    covariance: list[list[float]]


@cache
def generic_detector() -> tuple[Any, Any]:
    """The detector and its geometry, which lives as long as the detector does."""
    import acts
    import acts.examples

    config = acts.examples.GenericDetector.Config(logLevel=acts.logging.FATAL)
    detector = acts.examples.GenericDetector(config)
    return detector, detector.trackingGeometry()


def new_sequencer(events: int, **options: Any) -> Any:
    """Sequencer of Acts on one thread that logs fatal errors only."""
    import acts
    import acts.examples

    common = {"numThreads": 1, "logLevel": acts.logging.FATAL, "trackFpes": False, "outputTimingFile": ""}
    return acts.examples.Sequencer(events=events, **common, **options)


def constant_field(tesla: float) -> Any:
    """Magnetic field along the beam."""
    import acts

    return acts.ConstantBField(acts.Vector3(0, 0, tesla * acts.UnitConstants.T))


def given(read: Callable[[int], Measured]) -> list[Any]:
    """Algorithms that give the measurements of an event, all of them to be used, and its tracks.

    `read` is a function of the number of an event in the sequence, from 0.
    """
    import acts
    import acts.examples as examples

    level = acts.logging.FATAL

    class Given(examples.IAlgorithm):  # type: ignore[misc]
        """Measurements and tracks."""

        def __init__(self) -> None:
            super().__init__("Given", level)
            self.measurements = examples.WriteDataHandle(self, examples.MeasurementContainer, "measurements")
            self.measurements.initialize("measurements")
            self.tracks = examples.WriteDataHandle(self, examples.ProtoTrackContainer, "proto_tracks")
            self.tracks.initialize("proto_tracks")

        def execute(self, context: Any) -> Any:
            """Give one event."""
            event = read(int(context.eventNumber))
            container, tracks = examples.MeasurementContainer(), examples.ProtoTrackContainer()
            for module, place, errors in zip(event.modules, event.places, event.variances, strict=True):
                container.emplaceMeasurement(acts.GeometryIdentifier(module), [0, 1], place, errors)
            for rows in event.tracks:
                tracks.append(examples.ProtoTrack(rows))
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


def space_points(geometry: Any, volumes: Sequence[int]) -> Any:
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


def start_parameters(geometry: Any, field: Any, **names: Any) -> Any:
    """Algorithm that estimates the parameters with which a track begins; `names`: of its inputs and outputs.

    Their errors have to be as large as those of an estimate by three points are. `ProtoTracksToParameters`, which
    makes seeds and estimates in one, has far smaller ones (48.1.0): the pulls of its fits have a width of 2.5.
    """
    import acts
    import acts.examples as examples

    units = acts.UnitConstants
    return examples.TrackParamsEstimationAlgorithm(
        level=acts.logging.FATAL,
        outputTrackParameters="parameters",
        outputSeeds="estimated_seeds",
        trackingGeometry=geometry,
        magneticField=field,
        initialSigmas=[1 * units.mm, 1 * units.mm, 1 * units.degree, 1 * units.degree, 0 / units.GeV, 1 * units.ns],
        initialSigmaQoverPt=0.1 / units.GeV,
        initialSigmaPtRel=0.1,
        initialVarInflation=[1.0] * 6,
        **names,
    )


def kalman_fit(geometry: Any, field: Any) -> list[Any]:
    """Algorithms from the proto tracks to fitted tracks."""
    import acts
    import acts.examples as examples

    level = acts.logging.FATAL
    seeds = examples.ProtoTracksToSeeds(
        level=level,
        inputProtoTracks="proto_tracks",
        inputSpacePoints="spacepoints",
        outputProtoTracks="seeded_tracks",
        outputSeeds="seeds",
    )
    parameters = start_parameters(
        geometry,
        field,
        inputSeeds="seeds",
        inputProtoTracks="seeded_tracks",
        outputProtoTracks="started_tracks",
        spacePointSelection=examples.SeedSpacePointSelection.SpreadTriplet,
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
        inputProtoTracks="started_tracks",
        inputInitialTrackParameters="parameters",
        inputClusters="",
        outputTracks="tracks",
        pickTrack=-1,
        fit=fit,
        calibrator=examples.makePassThroughCalibrator(),
        linkForward=False,
        referenceSurface=acts.Surface.createPerigee(acts.Vector3(0, 0, 0)),
    )
    return [space_points(geometry, VOLUMES), seeds, parameters, fitting]


def taken(write: Callable[[int, list[FittedTrack], int], Any], started: str = "") -> Any:
    """Algorithm that hands the tracks over to a function.

    It gets the number of the event, its tracks, and the number of proto tracks of the collection `started`.
    """
    import acts
    import acts.examples as examples

    class Taken(examples.IAlgorithm):  # type: ignore[misc]
        """Tracks with parameters; measurements without outliers and holes."""

        def __init__(self) -> None:
            super().__init__("Taken", acts.logging.FATAL)
            self.tracks = examples.ReadDataHandle(self, examples.ConstTrackContainer, "tracks")
            self.tracks.initialize("tracks")
            if started:
                self.started = examples.ReadDataHandle(self, examples.ProtoTrackContainer, "started")
                self.started.initialize(started)

        def execute(self, context: Any) -> Any:
            """Hand over one event."""
            tracks = [fitted(track) for track in self.tracks(context.eventStore) if track.hasReferenceSurface]
            write(int(context.eventNumber), tracks, len(self.started(context.eventStore)) if started else 0)
            return examples.ProcessCode.SUCCESS

    return Taken()


def fitted(track: Any) -> FittedTrack:
    """Measurements and parameters of a track of Acts."""
    import acts
    import acts.examples as examples

    link, units = examples.IndexSourceLink.fromSourceLink, [1.0, 1.0, 1.0, 1.0, 1 / acts.UnitConstants.GeV]
    rows = [
        link(state.uncalibratedSourceLink).index()
        for state in track.trackStatesReversed
        if state.typeFlags.isMeasurement
    ]
    five = range(len(NAMES))
    parameters, covariance = list(track.parameters), track.covariance
    return FittedTrack(
        rows,
        [parameters[i] / units[i] for i in five],
        [[covariance[i, j] / units[i] / units[j] for j in five] for i in five],
    )


def read_rows(file: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; Acts' `local_key` is a raw byte."""
    with file.open(encoding="latin-1", newline="") as stream:
        return list(csv.DictReader(stream))


def read_event(folder: Path, name: str) -> tuple[Measured, list[str]]:
    """Measurements and proto tracks of an event, and the trackId of each."""
    rows = read_rows(folder / f"{name}-measurements.csv")
    row_of = {row["measurement_id"]: number for number, row in enumerate(rows)}
    tracks: dict[str, list[int]] = {}
    for row in read_rows(folder / f"{name}-prototracks.csv"):
        tracks.setdefault(row["trackId"], []).append(row_of[row["measurementId"]])

    def both(column: str) -> list[list[float]]:
        return [[float(row[f"{column}{axis}"]) for axis in (0, 1)] for row in rows]

    modules = [int(row["geometry_id"]) for row in rows]
    return Measured(modules, both("local"), both("var_local"), list(tracks.values())), list(tracks)


def write_parameters(file: Path, tracks: Sequence[FittedTrack], ids: Sequence[str]) -> None:
    """Write the parameters of fitted tracks in the columns of Acts."""
    pairs = [(i, j) for i in range(len(NAMES)) for j in range(len(NAMES)) if i != j]
    variances, others = [f"var_{name}" for name in NAMES], [f"cov_{NAMES[i]}{NAMES[j]}" for i, j in pairs]
    with file.open("w", encoding="ascii", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["trackId", *NAMES, *variances, *others])
        for number, track in zip(ids, tracks, strict=True):
            own = [track.covariance[i][i] for i in range(len(NAMES))]
            values = [*track.parameters, *own, *(track.covariance[i][j] for i, j in pairs)]
            writer.writerow([number, *(f"{value:.9g}" for value in values)])


def fit_files(folder: Path, output: Path, tesla: float) -> None:
    """Fit the proto tracks of all events of a folder, and print their numbers."""
    names = sorted(file.name.removesuffix("-prototracks.csv") for file in folder.glob("event*-prototracks.csv"))
    if not names:
        sys.exit(f"{folder}: holds no event*-prototracks.csv")
    of_events = [read_event(folder, name) for name in names]

    def write(number: int, tracks: list[FittedTrack], started: int) -> None:
        (event, ids), name = of_events[number], names[number]
        # Acts drops tracks on its way, and its own numbers of tracks with them.
        of_row = {row: ids[place] for place, rows in enumerate(event.tracks) for row in rows}
        write_parameters(output / f"{name}-track_parameters.csv", tracks, [of_row[track.rows[0]] for track in tracks])
        lost = f"{len(ids) - started} without start parameters, {started - len(tracks)} failed"
        print(f"{name}: {len(ids)} proto tracks, {lost}, {len(tracks)} fitted", file=sys.stderr)

    (_, geometry), field = generic_detector(), constant_field(tesla)
    sequencer = new_sequencer(len(names))
    for algorithm in (*given(lambda number: of_events[number][0]), *kalman_fit(geometry, field)):
        sequencer.addAlgorithm(algorithm)
    sequencer.addAlgorithm(taken(write, "started_tracks"))
    sequencer.run()


def main() -> None:
    """Read the options and fit."""
    parser = argparse.ArgumentParser(description="Fit proto tracks by Acts' Kalman filter.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(__file__).parent, help="measurements, proto tracks"
    )
    parser.add_argument("--output", type=Path, help="folder for the fitted tracks (default: the same)")
    parser.add_argument("--field", type=float, default=FIELD, help="field along the beam, tesla (default: %(default)s)")
    options = parser.parse_args()
    output = options.output or options.folder
    output.mkdir(parents=True, exist_ok=True)
    try:
        fit_files(options.folder, output, options.field)
    except (KeyError, OSError, ValueError) as error:
        sys.exit(f"{options.folder}: measurements or proto tracks can't be read ({error!r})")


if __name__ == "__main__":
    main()

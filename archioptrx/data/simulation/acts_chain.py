"""Track finding and fitting by Acts itself, on measurements that are given. Needs pyacts (extra `acts`).

    ckf     grid triplets of pixel hits as seeds, estimate of their parameters, combinatorial Kalman filter, greedy
            ambiguity resolution
    truth   Kalman fit of the true track of each particle: what a fit reaches
    fit     Kalman fit of the tracks that are given, as that of `truth`; see `archioptrx.data.simulation.acts_fit`

Settings are those of Acts' own examples for its GenericDetector. Measurements keep the order in which they are given:
`CsvMeasurementReader` changes that of the measurements on one module.

It is a program of its own, `python -m archioptrx.data.simulation.acts_chain FOLDER`, for Acts prints to the standard
output and may end the process. FOLDER holds `job.json`, the `Job`, and a file for each event, `0.npz`, `1.npz` …:

    geometry_id [N], local [N, 2], variance [N, 2]    the measurements
    hit [H], track [H]                                for `truth` and `fit`: measurements of each track

It gets `0.tracks.npz` … with the fields of `FoundByActs`, `seconds` as an array beside the names of the `stages`: times
of the process, without reading and writing. The first event is run twice, the first time for what Acts prepares once.
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
from archioptrx.data.simulation.acts_fit import (
    PIXELS,
    FittedTrack,
    Measured,
    constant_field,
    generic_detector,
    given,
    kalman_fit,
    new_sequencer,
    space_points,
    start_parameters,
    taken,
)
from archioptrx.data.simulation.fatras import pyacts_version

CHAINS = ("ckf", "truth", "fit")
LEAST = 7
"""Least number of measurements of a track of the filter."""
SEED_PT, TRACK_PT = 0.5, 0.5
"""Least transverse momentum of seeds and of tracks of the filter, GeV."""
SEEDING, FILTER, RESOLUTION, FIT = "seeding", "Kalman filter", "ambiguity resolution", "Kalman fit"
"""Stages whose time is measured. Seeding: space points, seeds, and the parameters with which tracks begin."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
        Rows of measurements, and the track of each; a measurement of several tracks stands several times.
    parameters : float64 [T, 5]
        d0, z0, φ, θ and q/p of each track at the beam line, in mm, rad and 1/GeV.
    variances : float64 [T, 5]
        Their variances.
    started
        Number of the given tracks that have start parameters; 0 of the filter, which finds its own.
    seconds
        Time of the process for each stage, on one thread.
    """

    hit: Ints
    track: Ints
    parameters: Floats
    variances: Floats
    started: int
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
        hit, track, parameters, variances = (arrays[name] for name in ("hit", "track", "parameters", "variances"))
        seconds = dict(zip(arrays["stages"].tolist(), arrays["seconds"].tolist(), strict=True))
        return FoundByActs(hit, track, parameters, variances, int(arrays["started"]), seconds)


def main(folder: Path) -> None:
    """Run the job of a folder."""
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    (_, geometry), field, ends = generic_detector(), constant_field(job.field), list[float]()
    of_filter = job.chain == "ckf"
    stages = _filter(geometry, field, job.field) if of_filter else _fit(geometry, field)

    def write(number: int, tracks: list[FittedTrack], started: int) -> None:
        seconds = np.diff(ends[-len(stages) - 1 :])
        arrays = _arrays(tracks) | {"started": started, "stages": list(stages), "seconds": seconds}
        np.savez(folder / f"{_event(number)}.tracks.npz", **arrays)

    sequencer = new_sequencer(job.events + 1)
    algorithms = [*given(lambda number: _measured(folder / f"{_event(number)}.npz", of_filter)), _clock("Begin", ends)]
    for stage, of_stage in stages.items():
        algorithms += [*of_stage, _clock(f"After {stage}", ends)]
    for algorithm in [*algorithms, taken(write, "" if of_filter else "started_tracks")]:
        sequencer.addAlgorithm(algorithm)
    sequencer.run()


def _event(number: int) -> int:
    """Number of the event: the first one is run twice."""
    return max(0, number - 1)


def _measured(file: Path, alone: bool) -> Measured:
    """Measurements of a file, `alone` or with its tracks."""
    with np.load(file) as arrays:
        content = {name: arrays[name].tolist() for name in arrays.files}
    tracks = [] if alone else _of_each(content["track"], content["hit"])
    return Measured(content["geometry_id"], content["local"], content["variance"], tracks)


def _of_each(track: Iterable[int], hit: Iterable[int]) -> list[list[int]]:
    """Hits of each track, in the given order."""
    hits: dict[int, list[int]] = {}
    for number, row in zip(track, hit, strict=True):
        hits.setdefault(number, []).append(row)
    return list(hits.values())


def _arrays(tracks: Sequence[FittedTrack]) -> dict[str, Any]:
    """Arrays of the tracks of an event."""
    return {
        "hit": np.array([row for track in tracks for row in track.rows], np.int64),
        "track": np.repeat(np.arange(len(tracks)), [len(track.rows) for track in tracks]),
        "parameters": np.array([track.parameters for track in tracks]).reshape(-1, 5),
        "variances": np.array([np.diag(track.covariance) for track in tracks]).reshape(-1, 5),
    }


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
    estimate = start_parameters(geometry, field, inputSeeds="seeds")
    resolution = examples.GreedyAmbiguityResolutionAlgorithm(
        level=level,
        inputTracks="found",
        outputTracks="tracks",
        maximumSharedHits=3,
        maximumIterations=100_000,
        nMeasurementsMin=LEAST,
    )
    return {
        SEEDING: [space_points(geometry, PIXELS), seeding, estimate],
        FILTER: [_tracks(geometry, field)],
        RESOLUTION: [resolution],
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
    """Algorithms of the Kalman fit of given tracks by their stages."""
    *start, fitting = kalman_fit(geometry, field)
    return {SEEDING: start, FIT: [fitting]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))

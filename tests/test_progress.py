"""What a person sees of a search."""

import io
from typing import Any

import pytest
from rich.console import Console

from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.text import brief, duration_text
from archioptrx.search.progress import LiveProgress, Progress


def proposal(number: int) -> dict[str, Any]:
    return {"proposal": number, "graph": Architecture.load("attention_recursive").graph.to_dict()}


def row(number: int, status: str, score: float | None) -> dict[str, Any]:
    figures = {"epochs": 2, "parameters": 1234, "seconds": 10.0, "error": None if score else "the loss is nan"}
    return {"id": f"{number:04d}", "proposal": number, "status": status, "score": score, **figures}


def report_trials(progress: Progress) -> None:
    """Two trials end, one fails, one runs."""
    for number in range(4):
        progress.started(proposal(number))
    progress.ended(row(0, "finished", 0.75))
    progress.ended(row(1, "pruned", 0.5))
    progress.ended(row(2, "failed", None))
    progress.epoch(3, {"epoch": 1, "score": 0.6})


def test_a_recursive_network_on_one_line() -> None:
    graph = Architecture.load("attention_recursive").graph
    assert brief(graph) == "encode · 4×(attend) 5×(shortcut · edge_net)"
    # A loop whose head itself is read behind it has no forward part: x0 <- normalise(x0), then shortcut(x0, hits).
    content = graph.to_dict()
    steps = {step["value"]: step for step in content["steps"]}
    around = {**steps["x1"], "function": "normalise", "block": "norm", "inputs": ["x0"], "params": {}}
    content["steps"] = [steps["x0"], around, steps["xs0"], steps["score0"]]
    assert brief(ComputationGraph.from_dict(content)) == "encode · 4×(normalise) · shortcut · edge_net"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.96, "60.0 s"), (119.9, "2 min 0 s"), (7322, "2 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_plain_lines() -> None:
    out = io.StringIO()
    report_trials(Progress(Console(file=out), trials=6, workers=2, metric="auc"))
    assert out.getvalue().splitlines() == [
        "[1/6] trial 0000 finished: auc 0.75000; 2 epochs, 1,234 parameters, 10.0 s; best 0.75000; 25.0 s left",
        "[2/6] trial 0001 pruned: auc 0.50000; 2 epochs, 1,234 parameters, 10.0 s; best 0.75000; 20.0 s left",
        "[3/6] trial 0002 failed: the loss is nan; 2 epochs, 1,234 parameters, 10.0 s; best 0.75000; 15.0 s left",
    ]


def test_live_view() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=150, color_system=None)
    with LiveProgress(console, trials=6, workers=2, metric="auc") as progress:
        report_trials(progress)
        with console.capture() as capture:
            console.print(progress.view())
    text = capture.get()
    for part in (
        "trials 3/6",
        "about 15.0 s left",
        "1 failed, 1 finished, 1 pruned; 1 running",
        "0003  epoch 1, auc 0.60000  encode ·",
        "best auc 0.75000, trial 0000  encode · 4×(attend) 5×(shortcut · edge_net)",
    ):
        assert part in text, text
    assert "trial 0002 failed: the loss is nan" in out.getvalue()

"""TensorBoard: an event file for each training, in `tensorboard/NAME/`.

Written with TensorBoard's own messages and record writer, without its summary writer, whose import takes seconds
and whose thread keeps events back. The file is complete after each epoch.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from archioptrx.runs.loggers import LOGGERS, flat

VERSION = "brain.Event:2"
"""Version in the first event of a file, which TensorBoard needs to read it."""


class TensorboardFile:
    """Event file of one training."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._file: BinaryIO = open(folder / name, "wb")  # noqa: SIM115 - closed by close()
        self._writer = RecordWriter(self._file)
        self._add(Event(file_version=VERSION))

    def write(self, *values: Summary.Value, step: int = 0) -> None:
        """Write one event with several values, and flush the file."""
        self._add(Event(step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@LOGGERS.registering("tensorboard")
class TensorBoard:
    """Event files of TensorBoard, one for each training."""

    def __init__(self, root: Path) -> None:
        self.root = root / "tensorboard"
        self._files: dict[str, TensorboardFile] = {}

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """Begin a file: hyperparameters for the HParams page, the architecture as text."""
        shutil.rmtree(self.root / trial, ignore_errors=True)
        self._files[trial] = file = TensorboardFile(self.root / trial)
        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time(), group_name=trial)
        for name, value in flat(config).items():
            if isinstance(value, bool):
                start.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[name].number_value = value
            else:
                start.hparams[name].string_value = str(value)
        file.write(_hparams("session_start_info", start), _text("architecture", architecture))

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """Scalars by epoch."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._files[trial].write(*values, step=epoch)

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """Write the status of the end, and close the file."""
        end = plugin_data_pb2.SessionEndInfo(end_time_secs=time.time())
        end.status = api_pb2.STATUS_FAILURE if status == "failed" else api_pb2.STATUS_SUCCESS
        file = self._files.pop(trial)
        text = "\n".join(f"{key}: {value}" for key, value in {"status": status, **summary}.items())
        file.write(_hparams("session_end_info", end), _text("end", text))
        file.close()

    def close(self) -> None:
        """Close all open files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def _hparams(name: str, message: Any) -> Summary.Value:
    """A message of the HParams plugin."""
    content = plugin_data_pb2.HParamsPluginData(version=0, **{name: message}).SerializeToString()
    nothing = TensorProto(dtype=DT_FLOAT)
    nothing.tensor_shape.dim.add().size = 0
    return Summary.Value(tag=f"_hparams_/{name}", metadata=_metadata("hparams", content), tensor=nothing)


def _text(tag: str, text: str) -> Summary.Value:
    """A text, shown as it is: an indented block of Markdown."""
    block = "\n".join(f"    {line}" for line in text.splitlines())
    tensor = TensorProto(dtype=DT_STRING, string_val=[block.encode()])
    return Summary.Value(tag=tag, metadata=_metadata("text"), tensor=tensor)


def _metadata(plugin: str, content: bytes = b"") -> SummaryMetadata:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return SummaryMetadata(plugin_data=data)

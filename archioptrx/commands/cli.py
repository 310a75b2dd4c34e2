"""The console script and what all commands share: exit codes, one line per fault, `--debug`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from archioptrx.core.errors import ArchiOpTrXError, GraphError, did_you_mean
from archioptrx.core.plugins import user_modules
from archioptrx.core.printing import printable_output
from archioptrx.core.processors import limit_threads
from archioptrx.core.version import __version__

COMMANDS = {
    "search": "search a space of networks: the main job",
    "sample": "sample and print architectures without training",
    "inspect": "show the best architectures of a search",
    "train": "train one architecture to the end",
    "evaluate": "score a trained model on any data",
    "compare": "models side by side on the same events",
    "predict": "write scores and tracks in the input's own format",
    "export": "write a trained model as plain PyTorch or ONNX",
    "data": "make a data set, or look at one",
    "parts": "list the parts that experiments can name, with your own",
}


class Main(Protocol):
    """The `main` of a command: arguments (None: those of the process) to exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run it."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose faults are one line each with the allowed choices, like all others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("type", int, _whole)
        self.register("type", float, _number)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse unknown options: the parser of a subcommand knows its options, the one above doesn't."""
        known, extra = super().parse_known_args(args, namespace)
        if extra:
            wrong = [word for word in extra if word.startswith("-")] or extra
            self.exit(2, "".join(f"{self._unknown(word)}\n" for word in wrong))
        return known, extra

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{self.prog}: {word} is one word too many; see {self.prog} --help"
        name = word.partition("=")[0]
        return f"{name}: is unknown; {did_you_mean(name, [o for o in self._option_string_actions if o[:2] == '--'])}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"is {value!r}; {did_you_mean(value, action.choices)}")

    def error(self, message: str) -> None:  # type: ignore[override]
        if "; allowed: " in message:
            self.exit(2, message.removeprefix("argument ") + "\n")
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: a number") from None


def new_parser(name: str, description: str, modules: bool = True) -> argparse.ArgumentParser:
    """A parser for one command, with the options that all commands have, those of `add_imports` with `modules`."""
    parser = _Parser(prog=f"archioptrx {name}", description=description, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    if modules:
        add_imports(parser)
    return parser


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add `--imports`, modules with the user's own parts, and `--trust`, which allows those that files name."""
    parser.add_argument(
        "--imports",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules with parts of your own, installed or in this folder",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the modules that an experiment, run or model names, and remember their source",
    )


def command(parser: Callable[[], argparse.ArgumentParser], run: Callable[[argparse.Namespace], int]) -> Main:
    """Make a `main` that maps results and errors to exit codes.

    0 done, 2 the user's error (one line per fault on stderr), 130 stopped by Ctrl-C, 1 our own fault.
    """

    def main(argv: Sequence[str] | None = None) -> int:
        args = parser().parse_args(argv)
        limit_threads()
        with printable_output():
            return ended(args)

    def ended(args: argparse.Namespace) -> int:
        try:
            with user_modules(args.imports, args.trust, _beside(args)):
                code = run(args)
            sys.stdout.flush()
            return code
        except ArchiOpTrXError as error:
            if args.debug:
                raise
            print(_lines(error), file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except SystemExit as error:  # no command ends so: a part of the user's own has called sys.exit
            if args.debug:
                raise
            print(f"SystemExit: {error}: a part of your own ended the program; allowed: an error", file=sys.stderr)
            return 2
        except BrokenPipeError:
            # The reader of our output, for example `head`, has ended: there is no one to print to. Without this, the
            # interpreter would fail again when it flushes stdout at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            if args.debug:
                raise
            if error.filename is None and not _takes(sys.stdout):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            reason = (error.strerror or str(error)).lower()
            print(f"{error.filename or 'output'}: can't be read or written: {reason}", file=sys.stderr)
            return 2

    return main


def _lines(error: ArchiOpTrXError) -> str:
    """A line for each fault, also where names in it hold newlines; only the print of a graph has several lines."""
    return str(error) if isinstance(error, GraphError) else "\n".join(f.replace("\n", "\\u000a") for f in error.faults)


def _takes(stream: TextIO) -> bool:
    """Whether a stream can be flushed, which fails on a full disk."""
    try:
        stream.flush()
    except OSError:
        return False
    return True


def _beside(args: argparse.Namespace) -> list[Path]:
    """Folder of the experiment file that a command names."""
    file = Path(getattr(args, "experiment", None) or "")
    return [file.parent] if file.is_file() else []


def main(argv: Sequence[str] | None = None) -> int:
    """Run `archioptrx SUBCOMMAND …`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: archioptrx COMMAND …\n")
        for name, text in COMMANDS.items():
            print(f"  {name:10} {text}")
        print("\n`archioptrx COMMAND --help` lists the options of a command.")
        return 0
    if arguments[0] == "--version":
        print(f"archioptrx {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        print(f"archioptrx: {name!r} is no command; {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"archioptrx.commands.{name}").main(arguments[1:]))

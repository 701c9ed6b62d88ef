"""Clips in several processes of this machine, each with one core and one clip at a time.

A worker is a fresh Python (nothing is forked: OpenCV's threads would not live on). It is sent a
clip when it is done with the one before, so that a worker that is killed, by the system for its
memory or by anybody, is one clip's error: it gets a successor, and the others go on. A worker whose
driver is gone stops and cleans up. Results come in the order of the clips, and do not depend on the
number of workers, since a clip never sees another.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ....errors import DataError, GleeError, unexpected
from ...cluster.options import ONE_THREAD
from ...cluster.tasks import limit_threads
from ...options import AnalyzeOptions
from ...summary import Progress, progress_bar
from ..face_fit import AUScorer
from ..inputs import Source
from .clip import ClipAnalyzer
from .outcome import ClipAnalysis

logger = logging.getLogger(__name__)

# What a worker runs: it finds modules where its driver does, but not in the current folder.
_PROGRAM = (
    "import os, sys; sys.path[:] = os.environ.pop('_GLEE_PATH').split(os.pathsep); "
    f"from {__name__} import serve; serve()"
)
# Seconds that a worker has to clean up in when it is told to end.
_GOODBYE = 10.0
# Frames that a worker counts before it says so.
_SAID_EVERY = 8


@dataclass(frozen=True, eq=False)
class Setup:
    """What a worker is started with.

    Attributes
    ----------
    out, options, scorer
        As those of `ClipAnalyzer`.
    level : int
        Of its log.
    """

    out: Path
    options: AnalyzeOptions
    scorer: AUScorer | None
    level: int


def analyze_in_processes(
    sources: Sequence[Source], setup: Setup, workers: int, *, progress: bool
) -> Iterator[ClipAnalysis]:
    """Analyse clips, several at a time.

    Parameters
    ----------
    sources : sequence of Source
        The clips.
    setup : Setup
        How.
    workers : int
        Processes, at most.
    progress : bool
        Show a bar for each clip at work.

    Yields
    ------
    ClipAnalysis
        One a clip, in their order.

    Raises
    ------
    UsageError
        Where an option makes no sense.
    """
    waiting: queue.SimpleQueue[tuple[int, Source]] = queue.SimpleQueue()
    for number, source in enumerate(sources):
        waiting.put((number, source))
    done: queue.SimpleQueue[tuple[int, ClipAnalysis | BaseException]] = queue.SimpleQueue()
    crew = [_Worker(setup, progress=progress) for _ in range(min(workers, len(sources)))]
    threads = [
        threading.Thread(target=_work, args=(worker, waiting, done), daemon=True) for worker in crew
    ]
    for thread in threads:
        thread.start()
    ready: dict[int, ClipAnalysis] = {}
    try:
        for number in range(len(sources)):
            while number not in ready:
                which, result = done.get()
                if isinstance(result, BaseException):
                    raise result
                ready[which] = result
            yield ready.pop(number)
    finally:
        _end(crew)


def _work(
    worker: _Worker,
    waiting: queue.SimpleQueue[tuple[int, Source]],
    done: queue.SimpleQueue[tuple[int, ClipAnalysis | BaseException]],
) -> None:
    """One worker's thread in the driver."""
    while not worker.ended:
        try:
            number, source = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            done.put((number, worker.analyze(source)))
        except BaseException as error:
            done.put((number, error))
            return


def _end(crew: Sequence[_Worker]) -> None:
    """Tell all workers to end, and wait until they have cleaned up."""
    for worker in crew:
        worker.tell_to_end()
    for worker in crew:
        worker.wait()


class _Worker:
    """A worker as the driver sees it; its process starts with the first clip."""

    def __init__(self, setup: Setup, *, progress: bool) -> None:
        self._setup, self._progress = setup, progress
        self._process: subprocess.Popen[bytes] | None = None
        self.ended = False

    def analyze(self, source: Source) -> ClipAnalysis:
        """Have a clip analysed; a worker that dies on it is the clip's error."""
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, source)
            answer = self._answer(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return ClipAnalysis(source.name, error=self._death())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            here = str(Path.cwd())
            path = [place for place in sys.path if place and place != here]
            # The package's own place too, where it is run from its folder's parent.
            package = str(Path(__file__).resolve().parents[4])
            places = path if package in map(_resolved, path) else [*path, *_own_place(package)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **ONE_THREAD, "_GLEE_PATH": os.pathsep.join(places)},
                # Ctrl-C is for the driver, which tells its workers.
                start_new_session=True,
            )
            assert self._process.stdin is not None
            _send(self._process.stdin, self._setup)
        return self._process

    def _answer(self, stream: IO[bytes]) -> ClipAnalysis | BaseException:
        """What a worker answers, or what ends the run, after what it says meanwhile."""
        with _bars_of_a_clip(self._progress) as bars:
            while True:
                kind, said = pickle.load(stream)
                if kind == "log":
                    name, level, text = said
                    logging.getLogger(name).log(level, "%s", text)
                elif kind == "bar":
                    bars.begin(*said)
                elif kind == "frames":
                    bars.update(said)
                else:
                    answer: ClipAnalysis | BaseException = said
                    return answer

    def _death(self) -> str:
        process, self._process = self._process, None
        code = 0
        if process is not None:
            try:
                code = process.wait(_GOODBYE)
            except subprocess.TimeoutExpired:  # it lives, but what it said was no answer
                process.kill()
                code = process.wait()
        how = f"with status {code}"
        if code < 0:
            how = f"by {signal.Signals(-code).name}"
        memory = " (was memory short?)" if code == -9 else ""
        return (
            f"its worker was ended {how}{memory}; the same command again goes on with it, "
            "fewer --workers need less memory"
        )

    def tell_to_end(self) -> None:
        """Say that nothing more is wanted."""
        self.ended = True
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def wait(self) -> None:
        """Wait for the process to clean up; not for ever."""
        if (process := self._process) is None:
            return
        try:
            process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _resolved(place: str) -> str:
    return str(Path(place).resolve())


def _own_place(package: str) -> list[str]:
    """Where this package is found, unless an installation finds it by other means."""
    return [package] if Path(package, __name__.partition(".")[0]).is_dir() else []


class _Bars:
    """The bar of the clip that a worker is at."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._block: Any = None
        self._bar: Progress | None = None

    def begin(self, label: str, total: int) -> None:
        """Begin a clip's bar."""
        self.end()
        self._block = progress_bar(label, total, "frame", shown=self._shown)
        self._bar = self._block.__enter__()

    def update(self, count: int) -> None:
        """So many more frames."""
        if self._bar is not None:
            self._bar.update(count)

    def end(self) -> None:
        """Close it."""
        if self._block is not None:
            self._block.__exit__(None, None, None)
            self._block = None


@contextmanager
def _bars_of_a_clip(shown: bool) -> Iterator[_Bars]:
    """A worker's bar for the time of a clip."""
    bars = _Bars(shown=shown)
    try:
        yield bars
    finally:
        bars.end()


def _send(stream: IO[bytes], what: Any) -> None:
    pickle.dump(what, stream)
    stream.flush()


def serve() -> None:
    """Be a worker: setup and clips from stdin, what is said and done to stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints is no answer.
    os.dup2(2, 1)
    setup: Setup = pickle.load(sys.stdin.buffer)
    logging.basicConfig(handlers=[_ToDriver(answers)], level=logging.WARNING, force=True)
    logging.getLogger(__name__.partition(".")[0]).setLevel(setup.level)
    # Also where the driver was started with SIGINT ignored, as a script's background job is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clips: queue.SimpleQueue[Source | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(clips,), daemon=True).start()
    analyzer: ClipAnalyzer | None = None
    try:
        while (source := clips.get()) is not None:
            try:
                if analyzer is None:
                    limit_threads(1)
                    analyzer = ClipAnalyzer.load(setup.out, setup.options, setup.scorer)
                    limit_threads(1)
                _send(answers, ("done", attempt_clip(analyzer, source, _Said(answers).bar)))
            except (GleeError, OSError) as error:
                _send(answers, ("raise", error))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    # Not by way of Python's end: the answers' other side may be gone.
    os._exit(0)


def attempt_clip(analyzer: ClipAnalyzer, source: Source, bar: Any) -> ClipAnalysis:
    """Analyse a clip; one that cannot be read, or fails as nobody foresaw, is its own error.

    Parameters
    ----------
    analyzer : ClipAnalyzer
        With everything loaded.
    source : Source
        The clip.
    bar : callable
        Makes a bar.

    Returns
    -------
    ClipAnalysis
        With an error where it failed.

    Raises
    ------
    GleeError, OSError
        Where options, weights or the output folder cannot be used: no clip would do better.
    """
    try:
        return analyzer.analyze(source, bar)
    except DataError as error:
        return ClipAnalysis(source.name, error=str(error))
    except (GleeError, OSError):
        raise
    except Exception as error:
        logger.debug("%s", source.name, exc_info=error)
        return ClipAnalysis(source.name, error=f"{unexpected(error)}; please report it")


def _listen(clips: queue.SimpleQueue[Source | None]) -> None:
    """Take clips as they come; when the driver is gone or wants no more, end what is at work."""
    try:
        while True:
            clips.put(pickle.load(sys.stdin.buffer))
    except (EOFError, OSError, pickle.UnpicklingError):
        clips.put(None)
        interrupt_main()
        threading.Timer(_GOODBYE, os._exit, (1,)).start()


class _Said:
    """Counts a clip's frames for the driver."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers, self._count = answers, 0

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Progress]:
        """A bar that the driver shows."""
        _send(self._answers, ("bar", (label, total)))
        yield self

    def update(self, n: float = 1) -> None:
        """So many more frames, told now and then."""
        self._count += int(n)
        if self._count >= _SAID_EVERY:
            _send(self._answers, ("frames", self._count))
            self._count = 0


class _ToDriver(logging.Handler):
    """Notes go to the driver, which shows them with its own."""

    def __init__(self, answers: IO[bytes]) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        with suppress(OSError):
            _send(self._answers, ("log", (record.name, record.levelno, record.getMessage())))

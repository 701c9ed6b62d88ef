"""Options and arguments that several commands share, each with one meaning, and kinds of options.

Whatever commands have it, an option's help begins with the same sentence. An option that was given
another name keeps its former one for a version (`FormerName`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource
from click.exceptions import NoSuchCommand

from ..errors import DataError, UsageError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
# What cannot be read is told by what reads it, so that the others of several inputs are read.
ANY_PATH = click.Path(path_type=Path, readable=False)

_log = logging.getLogger(__name__)


class ModelFile(click.Path):
    """The path of a morphable model; another kind of file is refused before any work."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The path as given.

        Raises
        ------
        DataError : where a file is there that is neither HDF5 nor .npz.
        """
        given: Any = super().convert(value, param, context)
        path = Path(given)
        if path.is_file() and os.access(path, os.R_OK):
            with path.open("rb") as file:
                head = file.read(8)
            if not head.startswith((b"PK", b"\x89HDF")):
                raise DataError(
                    f"{path}: is no morphable model; give the .h5 that `glee model import` writes"
                )
        return given


class ShardFile(click.Path):
    """The path of a shard; of a folder, the line names one of its shards."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The path as given; click's error where it is a folder."""
        folder = Path(value)
        if folder.is_dir():
            first = min(folder.rglob("*.h5"), default=None)
            such_as = "" if first is None else f", such as {first}"
            self.fail(f"{folder} is a folder; give one of its shards{such_as}", param, context)
        return super().convert(value, param, context)


class RunFolder(click.Path):
    """The folder of a trained run; of a work folder, the only run that was trained in it.

    A run has folders `fold...`, and where `glee train` makes it, it is WORK/runs/NAME.

    Parameters
    ----------
    packed : whether a file of `glee run pack` will do too.
    """

    name = "directory"

    def __init__(self, *, packed: bool = False) -> None:
        super().__init__(path_type=Path, file_okay=True)
        self.packed = packed

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The run's path; click's error where a file is given, or a folder has several runs."""
        given: Any = super().convert(value, param, context)
        folder = Path(given)
        if folder.is_file():
            if self.packed and folder.suffix.lower() == ".zip":
                return folder
            self.fail(f"{folder} is a file; give the folder of a trained run", param, context)
        if any(folder.glob("fold*")):
            return folder
        runs = sorted({fold.parent for fold in folder.glob("runs/*/fold*")})
        if len(runs) > 1:
            names = ", ".join(map(str, runs))
            self.fail(f"{folder} has several runs; give one of {names}", param, context)
        if runs:
            _log.info("%s: the run of this work folder", runs[0])
        return runs[0] if runs else folder


RUN_FOLDER = RunFolder()
RUN = RunFolder(packed=True)
SHARD_FILE = ShardFile(path_type=Path, dir_okay=False)
MODEL_FILE = ModelFile(path_type=Path, dir_okay=False)


class SummaryGroup(click.Group):
    """A group whose help has the whole first sentence of each command; click would cut it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; click's error names the nearest of those that are listed."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            possibilities = self.list_commands(ctx)
            raise NoSuchCommand(error.command_name, possibilities=possibilities, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        lines = [(name, summary(command)) for name, command in commands if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


def summary(command: click.Command) -> str:
    """The first sentence of a command's help."""
    return command.get_short_help_str(limit=1000)


class FormerName(click.Option):
    """The name that an option had in the last version: taken for it, with a note on stderr.

    Parameters
    ----------
    declarations : the former name, such as ["--work"].
    now : the present long name without its dashes, such as "keep-shards".
    """

    def __init__(self, declarations: Sequence[str], *, now: str, **attributes: Any) -> None:
        attributes |= {"hidden": True, "expose_value": False, "is_eager": True}
        super().__init__(declarations, **attributes)
        self.now = now

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Hand what was given to the present option, which is read after this one."""
        value, source = self.consume_value(ctx, opts)
        now = self.now.replace("-", "_")
        if source is ParameterSource.COMMANDLINE:
            _log.warning(former_name_note(self.opts[0], f"--{self.now}"))
        elif source is ParameterSource.ENVIRONMENT:
            prefix = f"${ctx.auto_envvar_prefix}_"
            _log.warning(former_name_note(f"{prefix}{self.name}".upper(), f"{prefix}{now}".upper()))
        else:
            return None, args
        # click gives its own dictionary of words; the present option finds its value there.
        cast(dict[str, Any], opts).setdefault(now, value)
        return None, args


def former_name_note(former: str, now: str) -> str:
    """What is said of a former name, wherever it stands."""
    return f"note: {former} is called {now} now; the former name goes with the next version"


def former_name(name: str, now: str) -> Callable[[Any], Any]:
    """A former name of an option of the command: former_name("--work", "keep-shards")."""
    return click.option(name, cls=FormerName, now=now)


def output_option(help_text: str = "", *, required: bool = True) -> Callable[[Any], Any]:
    """The file that a command writes.

    Parameters
    ----------
    help_text : sentences that say more of it.
    required : whether it has to be given.
    """

    def decorate(command: Any) -> Any:
        said = f"File to write. {help_text}".strip()
        option = click.option("-o", "--output", required=required, type=FILE, help=said)
        return option(former_name("--out", "output")(never_on_what_is_read("output")(command)))

    return decorate


def never_on_what_is_read(*outputs: str) -> Callable[[Any], Any]:
    """Refuse to write a file that the same command is given to read.

    Parameters
    ----------
    outputs : the command's parameters that are files to write.
    """

    def decorate(command: Any) -> Any:
        @wraps(command)
        def checked(*arguments: Any, **given: Any) -> Any:
            read = {path.resolve() for path in _files_of(given, outputs)}
            for name in outputs:
                written = given.get(name)
                if written is not None and written.resolve() in read:
                    raise UsageError(
                        f"{written}: is read, and would be overwritten; give another --{name}"
                    )
            return command(*arguments, **given)

        return checked

    return decorate


def _files_of(given: Mapping[str, Any], outputs: Sequence[str]) -> list[Path]:
    """Files that are there among a command's arguments and options, but for its outputs."""
    values = (value for name, value in given.items() if name not in outputs)
    paths = (path for value in values for path in (value if isinstance(value, tuple) else [value]))
    return [path for path in paths if isinstance(path, Path) and path.is_file()]


def out_option(help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    """The folder that a command writes; help_text: sentences that say more of it."""
    return click.option(
        "-o", "--out", type=FOLDER, help=f"Folder to write. {help_text}", **attributes
    )


def detector_option(help_text: str = "", default: str | None = "auto") -> Callable[[Any], Any]:
    """The landmark backend; help_text: sentences that say more of it."""
    said = (
        "Landmark backend: dlib, mesh, fan, fan:FACE_DETECTOR, auto, or an installed one; "
        "mesh+refiner:FILE with a weights file of train-landmarks --photos; in preprocess also "
        "openface:DIR or csv:DIR, files of landmarks."
    )
    return click.option(
        "--detector", default=default, show_default=True, help=f"{said} {help_text}".strip()
    )


def identity_option(help_text: str = "", **attributes: Any) -> Callable[[Any], Any]:
    """Whose face shape is estimated; help_text: sentences that say more of it."""
    said = "Whose face shape f_shape is estimated: one of each subject, or one of each frame."
    return click.option(
        "--identity",
        type=click.Choice(["subject", "frame"]),
        help=f"{said} {help_text}",
        **attributes,
    )


facenet_option = click.option(
    "--facenet",
    default="",
    help="File of FaceNet's weights, 20180402-114759-vggface2.pt, for both FaceNets.",
)
init_option = click.option(
    "--init",
    help="The weights to start from: a run of `glee pretrain`, embedded for the expression "
    "embedding that comes with glee, or random. [default: --preset compact starts from embedded]",
)
split_option = click.option(
    "--split", default="", help="JSON file of folds: each fold's name and its test subjects."
)


def seed_option(default: int) -> Callable[[Any], Any]:
    """The seed."""
    said = "Seed of all random numbers."
    return click.option("--seed", default=default, show_default=True, help=said)


def renders_option(default: int) -> Callable[[Any], Any]:
    """How many random faces."""
    said = "Number of random faces to draw."
    return click.option("--renders", default=default, show_default=True, help=said)


workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes that share the work. [default: one for each core]",
)


def cluster_option(help_text: str = "", *, required: bool = False) -> Callable[[Any], Any]:
    """Where tasks run; help_text: sentences that say more of it."""
    said = "Where tasks run: local, slurm, pbs, lsf, sge or tcp://host:port."
    return click.option("--cluster", required=required, help=f"{said} {help_text}".strip())


cluster_config_option = click.option(
    "--cluster-config",
    type=FILE,
    help="TOML file with the table [cluster]. [default: WORK/glee.toml]",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be read and written, and stop."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Delete what an earlier run made, and begin anew."
)
weights_option = click.option(
    "--weights",
    type=FOLDER,
    help="Folder of the landmark backend's weights. [default: TORCH_HOME/hub/checkpoints]",
)
flip_option = click.option(
    "--flip/--no-flip",
    default=None,
    help="With fan: average with the mirrored face, at twice the cost.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where GLEE-Net runs: cpu, cuda, or auto for CUDA where there is one.",
)


def detector_device_option(command: Any) -> Any:
    """Where the landmark backend runs; it was --device."""
    option = click.option(
        "--detector-device",
        help="Where the landmark backend runs: cpu or cuda. [default: the backend's own]",
    )
    return option(former_name("--device", "detector-device")(command))


model_option = click.option(
    "--model", type=MODEL_FILE, help="Morphable model to use instead of the embedded one."
)
focal_option = click.option(
    "--focal", type=float, help="Focal length in pixels. [default: 1.5 x the longer side]"
)
preset_option = click.option(
    "--preset",
    type=click.Choice(["paper", "compact"]),
    default="paper",
    show_default=True,
    help="The network and its recipe: as published, or small enough for a CPU.",
)


def work_option(help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    """Shards that a command reads; help_text: sentences that say more of them."""
    said = f"Work folder whose shards are read. {help_text}"
    return click.option("--work", type=FOLDER, help=said, **attributes)


def dataset_option(help_text: str = "", *, required: bool = False) -> Callable[[Any], Any]:
    """A dataset's name; help_text: sentences that say more of it."""
    said = "Layout of the dataset: disfa, disfa-plus, bp4d, bp4d-plus, fec or folder."
    return click.option("--dataset", required=required, help=f"{said} {help_text}".strip())


def root_option(*, required: bool = False) -> Callable[[Any], Any]:
    """Where a dataset lies."""
    said = "Folder in which the dataset lies; with folder, also one video or image."
    return click.option("--root", required=required, type=ANY_PATH, help=said)


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that only some datasets have; one that the dataset lacks is refused."""
    for option in (
        click.option(
            "--frame-offset", type=int, help="What an image's number is above its label row's."
        ),
        click.option(
            "--labels",
            type=click.Choice(["occurrence", "intensity"]),
            help="Which labels of BP4D are taken.",
        ),
        click.option("--images", type=ANY_PATH, help="Where the images lie, if not in --root."),
        click.option("--url-map", type=FILE, help="For FEC: file with a row url,file an image."),
    ):
        command = option(command)
    return command


def dataset_options_of(
    frame_offset: int | None, labels: str | None, images: Path | None, url_map: Path | None
) -> dict[str, Any]:
    """The values of `dataset_options`, as the library takes them."""
    return {
        "frame_offset": frame_offset,
        "labels": labels,
        "images": images,
        "url_map": url_map,
    }


json_option = click.option("--json", is_flag=True, help="Print the result as JSON.")


def echo_json(content: Any) -> None:
    """Plain values on stdout, as JSON."""
    click.echo(json.dumps(content, indent=1))


def echo_lines(lines: Sequence[str]) -> None:
    """Lines on stdout."""
    click.echo("\n".join(lines))

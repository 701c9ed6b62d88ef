"""The `glee` command: each subcommand parses its arguments and calls one function of the library.

Nothing heavy is imported before a command runs, so that `glee --help` answers at once.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import GleeError, UsageError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY_PATH = click.Path(path_type=Path)

workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Processes. [default: one a core]"
)
cluster_option = click.option(
    "--cluster", default="local", help="local (default), slurm, pbs, lsf, sge or tcp://host:port."
)
cluster_config_option = click.option(
    "--cluster-config", type=FILE, help="TOML with [cluster]. [default: WORK/glee.toml]"
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Drop what is there; begin anew.")
DATASETS_HELP = "Layout: disfa, disfa-plus, bp4d, bp4d-plus, fec or folder."


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that only some datasets have; one that the dataset lacks is refused."""
    for option in (
        click.option("--frame-offset", type=int, help="Image number less its label row's number."),
        click.option(
            "--labels", type=click.Choice(["occurrence", "intensity"]), help="BP4D: which."
        ),
        click.option("--images", type=ANY_PATH, help="Where the images lie, if apart."),
        click.option("--url-map", type=FILE, help="FEC: file of url,file rows."),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="glee")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is done.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars and no notes.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def commands(context: click.Context, verbose: bool, quiet: bool, debug: bool) -> None:
    """From videos of faces to Action Units, every step checkable.

    \b
    preprocess  find landmarks, align faces, pack shards
    fit3d       fit a 3D morphable model: expression coefficients without identity
    train       GLEE-Net, subject-exclusive folds; then evaluate and predict
    demo        all of it on built-in data, with a report
    """
    if verbose and quiet:
        raise UsageError("--verbose and --quiet exclude each other; give one of them")
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    logging.basicConfig(format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("glee").setLevel(level)
    context.obj = {"progress": not quiet, "debug": debug}


@commands.command()
@click.argument("out", type=FOLDER)
@click.option(
    "--layout",
    default="disfa",
    show_default=True,
    help="Whose folders and files: disfa, disfa-plus, bp4d, bp4d-plus or fec.",
)
@click.option("--subjects", default="9", show_default=True, help="How many, or names: SN001,SN002.")
@click.option("--frames", default=120, show_default=True, help="Frames of each video.")
@click.option("--size", default="640x480", show_default=True, help="Width x height, pixels.")
@click.option("--seed", default=0, show_default=True)
@click.option("--fps", default=20.0, show_default=True)
@workers_option
def synth(
    out: Path,
    layout: str,
    subjects: str,
    frames: int,
    size: str,
    seed: int,
    fps: float,
    workers: int | None,
) -> None:
    """Render a dataset with known truth into OUT, in a real dataset's own layout."""
    from .pipeline.cluster import available_cores
    from .pipeline.synthetic_dataset import synthesise_dataset

    made = synthesise_dataset(
        out,
        layout=layout,
        subjects=int(subjects) if subjects.isdigit() else subjects.split(","),
        frames=frames,
        size=_size(size),
        seed=seed,
        fps=fps,
        workers=workers or available_cores(),
    )
    click.echo(f"{out}: {len(made)} clips, labels, truth")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"size {text!r}: give width x height in pixels, such as 640x480")
    return int(width), int(height)


@commands.command()
@click.option("--dataset", required=True, help=DATASETS_HELP)
@click.option("--root", required=True, type=ANY_PATH, help="Where the dataset lies.")
@click.option("--out", required=True, type=FOLDER, help="Work folder for the shards.")
@click.option("--detector", default="dlib", show_default=True, help="Landmark backend.")
@click.option("--detect-every", default=10, show_default=True, help="Frames between detections.")
@click.option("--minimum-confidence", default=0.4, show_default=True, help="Of a valid frame.")
@click.option("--crop-size", default=200, show_default=True, help="Side of a crop, pixels.")
@click.option("--encoding", default="jpeg", show_default=True, help="Of crops: jpeg, png, raw.")
@click.option("--quality", default=95, show_default=True, help="Of JPEG crops.")
@click.option("--chunk-frames", default=1024, show_default=True, help="Most frames of a shard.")
@dataset_options
@workers_option
@cluster_option
@cluster_config_option
@overwrite_option
@click.pass_obj
def preprocess(
    settings: dict[str, Any],
    /,
    dataset: str,
    root: Path,
    out: Path,
    workers: int | None,
    cluster: str,
    cluster_config: Path | None,
    overwrite: bool,
    frame_offset: int | None,
    labels: str | None,
    images: Path | None,
    url_map: Path | None,
    **options: Any,
) -> None:
    """Find landmarks, align faces, and pack crops, landmarks and labels into shards.

    A run that was interrupted goes on where it stopped.
    """
    from .pipeline.preprocess import PreprocessOptions
    from .pipeline.preprocess import preprocess as run_stage

    summary = run_stage(
        dataset,
        root,
        out,
        options=PreprocessOptions(**options),
        workers=workers,
        cluster=cluster,
        cluster_config=cluster_config,
        overwrite=overwrite,
        progress=settings["progress"],
        dataset_options=_dataset_options(frame_offset, labels, images, url_map),
    )
    _echo_lines(summary.lines())


def _dataset_options(
    frame_offset: int | None, labels: str | None, images: Path | None, url_map: Path | None
) -> dict[str, Any]:
    return {
        "frame_offset": frame_offset,
        "labels": labels,
        "images": images,
        "url_map": url_map,
    }


@commands.command()
@click.argument("work", type=FOLDER, required=False)
@click.option("--dataset", help=DATASETS_HELP)
@click.option("--root", type=ANY_PATH, help="Where the dataset lies.")
@dataset_options
@json_option
@click.pass_obj
def verify(
    settings: dict[str, Any],
    /,
    work: Path | None,
    dataset: str | None,
    root: Path | None,
    frame_offset: int | None,
    labels: str | None,
    images: Path | None,
    url_map: Path | None,
    as_json: bool,
) -> int:
    """Check a dataset before any work (--dataset, --root), or the shards in WORK.

    Exit status 1 where something is wrong.
    """
    from .pipeline.verification import verify_dataset, verify_shards

    options = _dataset_options(frame_offset, labels, images, url_map)
    if dataset is not None and root is not None and work is None:
        report = verify_dataset(
            dataset, root, dataset_options=options, progress=settings["progress"]
        )
    elif work is not None and dataset is None:
        report = verify_shards(
            work, root=root, dataset_options=options, progress=settings["progress"]
        )
    else:
        raise UsageError("give WORK to check shards, or --dataset and --root to check a dataset")
    click.echo(json.dumps(report.as_json(), indent=1) if as_json else "\n".join(report.lines()))
    return 0 if report.ok else 1


@commands.command()
@click.argument("work", type=FOLDER)
@click.option(
    "--identity",
    type=click.Choice(["subject", "frame"]),
    default="subject",
    show_default=True,
    help="One f_shape a subject, or one a frame (the paper's).",
)
@click.option("--focal", type=float, help="Focal length, pixels. [default: 1.5 x longer side]")
@click.option("--bounds/--no-bounds", default=True, show_default=True, help="f_exp in [0, 1].")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Sliding landmarks.")
@click.option("--expression-weight", default=1e-4, show_default=True, help="Of |f_exp|^2.")
@click.option("--shape-weight", default=1e-4, show_default=True, help="Of |f_shape|^2.")
@click.option("--robust", type=click.Choice(["huber", "geman-mcclure"]), help="Robust loss.")
@click.option("--whiten", is_flag=True, help="Weigh landmarks by the detector's noise.")
@click.option("--prior", is_flag=True, help="Hold f_exp to plausible expressions.")
@click.option("--temporal", default=0.0, show_default=True, help="Smoothness of f_exp in time.")
@click.option("--estimate-focal", is_flag=True, help="One focal length a subject, from its frames.")
@click.option("--sample-frames", default=200, show_default=True, help="For a subject's identity.")
@click.option("--model", type=click.Path(dir_okay=False), help="Another morphable model.")
@workers_option
@cluster_option
@cluster_config_option
@overwrite_option
@click.pass_obj
def fit3d(
    settings: dict[str, Any],
    /,
    work: Path,
    workers: int | None,
    cluster: str,
    cluster_config: Path | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Fit the 3D morphable model to the landmarks in WORK's shards."""
    from .pipeline.fit3d import Fit3dOptions
    from .pipeline.fit3d import fit3d as run_stage

    summary = run_stage(
        work,
        options=Fit3dOptions(**options),
        workers=workers,
        cluster=cluster,
        cluster_config=cluster_config,
        overwrite=overwrite,
        progress=settings["progress"],
    )
    _echo_lines(summary.lines())


@commands.command()
@click.argument("work", type=FOLDER)
@click.option("--out", type=FOLDER, help="Folder of the run. [default: WORK/runs/PRESET]")
@click.option("--fold", default="all", show_default=True, help="1, 2, 3 or all.")
@click.option(
    "--preset", type=click.Choice(["paper", "compact"]), default="paper", show_default=True
)
@click.option("--ablation", help="A row of the paper's Table 5, such as no-3dgb.")
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch", type=click.IntRange(1), help="Frames of a step.")
@click.option("--learning-rate", type=float)
@click.option("--facenet", help="20180402-114759-vggface2.pt, weights of both FaceNets.")
@click.option("--split", help="File of folds: JSON, fold to test subjects.")
@click.option("--seed", type=int)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def train(
    work: Path, out: Path | None, fold: str, preset: str, device: str, **changes: Any
) -> None:
    """Train GLEE-Net on WORK's shards, each fold on subjects that its test does not have.

    A run that was interrupted goes on where it stopped.
    """
    from .model.evaluation import evaluate as measure_run
    from .model.options import train_options
    from .model.training import train as train_run

    run = out or work / "runs" / preset
    train_run(work, run, train_options(preset, **changes), fold=fold, device=device)
    click.echo(measure_run(run).table)


@commands.command()
@click.argument("run", type=FOLDER)
@click.option("--work", type=FOLDER, help="Measure on these shards instead of the run's own.")
@click.option("--device", default="cpu", show_default=True)
@json_option
def evaluate(run: Path, work: Path | None, device: str, as_json: bool) -> None:
    """F1 of a trained RUN on its unseen subjects: per AU, mean, and what chance gives."""
    from .model.evaluation import evaluate as measure_run

    evaluation = measure_run(run, work, device=device)
    click.echo(json.dumps(evaluation.results, indent=1) if as_json else evaluation.table)


@commands.command()
@click.argument("work", type=FOLDER)
def status(work: Path) -> None:
    """How far WORK is: shards made and fitted, and who is at work."""
    from .pipeline.work_status import work_status

    _echo_lines(work_status(work))


@commands.group()
def cluster() -> None:
    """Clusters: what would be submitted."""


@cluster.command()
@click.argument("work", type=FOLDER, required=False)
@click.option("--cluster", "spec", required=True, help="slurm, pbs, lsf or sge.")
@cluster_config_option
def preview(work: Path | None, spec: str, cluster_config: Path | None) -> None:
    """The script of one job, with the options of WORK or of --cluster-config."""
    from .pipeline.cluster_options import read_cluster_options
    from .pipeline.queue_cluster import job_script

    click.echo(job_script(spec, read_cluster_options(work, cluster_config)))


@commands.command()
@click.argument("shard", type=FILE)
@click.option("--png", type=FILE, help="Write a contact sheet: crops, landmarks, fitted mesh.")
def inspect(shard: Path, png: Path | None) -> None:
    """What is in a SHARD."""
    from .pipeline.inspection import describe_shard

    click.echo(describe_shard(shard))
    if png is not None:
        from .pipeline.contact_sheet import contact_sheet

        contact_sheet(shard, png)


@commands.command()
@click.option("--out", type=FOLDER, default=Path("demo"), show_default=True)
@click.option("--seed", default=0, show_default=True)
@workers_option
@overwrite_option
@click.pass_obj
def demo(
    settings: dict[str, Any], /, out: Path, seed: int, workers: int | None, overwrite: bool
) -> None:
    """The whole path on built-in data, into OUT/report.html and OUT/results.json."""
    from .reports.demo import demo as run_demo

    run_demo(out, seed=seed, workers=workers, overwrite=overwrite, progress=settings["progress"])
    click.echo(f"{out / 'report.html'}\n{out / 'results.json'}")


@commands.group()
def model() -> None:
    """Morphable models: import, look at, export."""


@model.command("import")
@click.argument("format_name", metavar="FORMAT")
@click.argument("path", type=ANY_PATH)
@click.option("-o", "--output", required=True, type=FILE, help="The model file to write: .h5.")
@click.option("--landmarks", type=FILE, help="68 vertex indices: .json, .txt, .csv, .npy, .npz.")
@click.option("--blendshapes", type=ANY_PATH, help="Folder of OBJ or PLY, or .npz.")
@click.option("--register", is_flag=True, help="Carry over what is missing from our own model.")
@click.option("--unit", help="Unit of the file: m, dm, cm, mm, um. [default: the format's]")
@click.option("--identity-modes", default=60, show_default=True, help="Most modes kept.")
def import_(format_name: str, path: Path, output: Path, **options: Any) -> None:
    """Turn another model into glee's.

    FORMAT: lsfm, ict-facekit, bfm2009, bfm2017, bfm2019, flame or npz.
    """
    from .fitting.importers.import_model import import_model
    from .fitting.model_file import write_model
    from .fitting.model_info import model_info

    imported = import_model(format_name, path, **options)
    write_model(output, imported)
    click.echo(model_info(imported))


@model.command()
@click.argument("path", type=FILE, required=False)
def info(path: Path | None) -> None:
    """What is in a model file; without one, the embedded model."""
    from .fitting.model_info import model_info
    from .fitting.morphable_model import load_model

    click.echo(model_info(load_model(path)))


@model.command()
@click.argument("path", type=FILE, required=False)
@click.option("-o", "--output", required=True, type=FILE, help="The picture to write: .png.")
def render(path: Path | None, output: Path) -> None:
    """A picture of a model: mean, identity modes, expressions, landmarks."""
    from .fitting.model_sheet import draw_model_sheet
    from .fitting.morphable_model import load_model

    draw_model_sheet(load_model(path), output)


@model.command("export")
@click.argument("path", type=FILE, required=False)
@click.option("-o", "--output", required=True, type=FILE, help=".obj, .glb or .npz.")
def export_model(path: Path | None, output: Path) -> None:
    """The mean mesh as OBJ, or the model as glTF with morph targets or as NPZ."""
    from .fitting.exporters.export import export_model as write
    from .fitting.morphable_model import load_model

    write(output, load_model(path))


@commands.command()
@click.argument("detector")
@click.option("-o", "--output", required=True, type=FILE, help="The model file to write: .h5.")
@click.option("--model", "model_path", type=FILE, help="The morphable model, if not the embedded.")
@click.option("--renders", default=360, show_default=True, help="Random faces to draw.")
@click.option("--seed", default=68, show_default=True, help="Of the faces.")
def calibrate(
    detector: str, output: Path, model_path: Path | None, renders: int, seed: int
) -> None:
    """Lay a model's landmarks where DETECTOR marks them, and measure its errors.

    On random renders; the model file that is written serves fit3d's --model and --whiten.
    """
    from .pipeline.calibration import calibrate as lay_landmarks

    report = lay_landmarks(detector, output, model=model_path, renders=renders, seed=seed)
    _echo_lines(report.lines())


@commands.command()
@click.argument("shard", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help=".obj, .glb or .npz.")
@click.option("--frame", type=int, help="One frame, by its place in the shard. [default: all]")
@click.option("--model", "model_path", type=FILE, help="The morphable model, if not the embedded.")
def export(shard: Path, output: Path, frame: int | None, model_path: Path | None) -> None:
    """Fitted meshes of a SHARD: OBJ of one frame, animated glTF or NPZ of all."""
    from .pipeline.mesh_export import export_shard

    export_shard(shard, output, frame=frame, model_path=model_path)


def _echo_lines(lines: Sequence[str]) -> None:
    click.echo("\n".join(lines))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to stderr, one line each."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = commands.main(words, prog_name="glee", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
        return _fail(words, error, error.format_message().rstrip(".") + hint, UsageError.exit_code)
    except click.ClickException as error:
        return _fail(words, error, error.format_message(), UsageError.exit_code)
    except GleeError as error:
        return _fail(words, error, str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("glee: interrupted; the same command goes on where it stopped", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:  # the last edge: a bug must not look like success
        text = f"unexpected {type(error).__name__}: {error}; --debug shows where, please report it"
        return _fail(words, error, text, 1)


def _fail(words: Sequence[str], error: BaseException, text: str, code: int) -> int:
    if "--debug" in words:
        logging.getLogger(__name__).error("", exc_info=error)
    click.echo(f"glee: error: {' '.join(text.split())}", err=True)
    return code


def main() -> None:
    """Entry point of the `glee` command."""
    sys.exit(run())


if __name__ == "__main__":
    main()

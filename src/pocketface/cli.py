"""The command line: thin commands over the library.

Each command imports what it needs when it runs, so that `pocketface --help` answers at once.
"""

import json
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pocketface.core import outs
from pocketface.core.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, PocketfaceError, exit_cleanly, shown

if TYPE_CHECKING:
    from pocketface.evaluation.variants import Variant
    from pocketface.study import Study

app = typer.Typer(
    help="Face attributes that fit in a pocket: age, gender and expression from quantized TFLite models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="The datasets that a study can use.", no_args_is_help=True)
app.add_typer(data, name="data")
studies = typer.Typer(help="Studies, each a params file in `studies/`.", no_args_is_help=True)
app.add_typer(studies, name="study")
export = typer.Typer(help="Hands a model over to other programs.", no_args_is_help=True)
app.add_typer(export, name="export")

Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A published model (`attributes`, `facenet/int8`), a variant's folder, a .tflite file or a "
        "quoted pattern: 'variants/*/int8' is what `dvc repro` made. Of models that answer the same, the "
        "first gives the answer. By default the published models of age, gender and expression.",
    ),
]
Detectors = Annotated[
    Literal["blazeface", "hog", "cnn"],
    typer.Option(
        help="What finds the faces: `blazeface`, the fastest; dlib's `hog`, with which the models were "
        "trained; or dlib's `cnn`, which takes seconds a picture."
    ),
]
Search = Literal["auto", "blazeface", "hog", "cnn", "none"]
Threads = Annotated[int, typer.Option(min=1, max=256, help="CPU threads of each model.")]
WIDE = 200
"""Characters of a table that goes into a file."""
SEEN = ("ok", "no_face")
"""Status of a picture that could be read."""
NAMED = 3
"""Pictures that are named of those rejected for one reason."""


def _out(name: str, metavar: str, help: str) -> Any:
    """An option that names a file to write; the command goes to another folder first."""
    return typer.Option(name, metavar=metavar, dir_okay=False, resolve_path=True, help=help)


def _studies(incomplete: str) -> list[str]:
    from pocketface.studies import names

    return [name for name in names() if name.startswith(incomplete)]


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pocketface {version('pocketface')}")
        raise typer.Exit


@app.callback()
def door(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Holds what belongs to no command."""


@app.command()
@exit_cleanly
def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STAGE...]", help="Stop at these; nothing is then checked or logged."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=_studies,
            help="Take studies/NAME.yaml first, as `pocketface study use NAME` does.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, help="Models whose variants are made side by side; a large one takes gigabytes of memory."
        ),
    ] = 2,
) -> None:
    """Runs the study in params.yaml: data to gated comparison, then MLflow.

    `dvc repro`, then `pocketface check`, then `pocketface track`, and faster: stages share what they import,
    and models go in parallel. What was made is logged whatever the gate says; exit status 1 if it fails.
    A study that has no baseline yet passes.

    Examples:

        pocketface run

        pocketface run --study utkface
    """
    from pocketface import studies
    from pocketface.study import load_study

    _enter_repository()
    if study is not None:
        typer.echo(studies.use(study))
    plan = load_study()
    from pocketface.running import run as running

    try:
        status = running(plan, targets or [], jobs)
    except KeyboardInterrupt:
        typer.echo("interrupted; the next `pocketface run` goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if status or targets:
        raise typer.Exit(status)
    status = _gate(plan)
    typer.echo(f"report: open {outs.REPORTS / plan.study}/index.html")
    from pocketface.tracking import due

    if due.due():
        track()
        due.done()
    else:
        typer.echo("track: nothing new since the last run")
    raise typer.Exit(status)


def _gate(study: "Study") -> int:
    from pocketface import gate

    try:
        verdict = gate.check(study)
    except gate.NoBaseline as missing:
        typer.echo(f"check: {missing}")
        return 0
    except PocketfaceError as error:
        typer.echo(f"error: {error}", err=True)
        return EXIT_BAD_INPUT
    typer.echo(verdict.text())
    return 0 if verdict.passed else 1


@app.command()
@exit_cleanly
def predict(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE_OR_FOLDER...", help="Where to look.")],
    model: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, one entry a picture.")] = False,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Write the picture with boxes in it and answers below it; of several, name a folder. "
            "Of a JPEG of 4,000 pixels a side or more a half, a quarter or an eighth of its size is written.",
        ),
    ] = None,
    detect: Detectors = "blazeface",
    threads: Threads = 1,
) -> None:
    """Says age, gender and expression of every face in pictures.

    Boxes are in the file's own pixels, turned upright. A picture that cannot be read has a `status` and a
    `detail` that say why, and the rest goes on; exit status 2 if none could be read.

    Of a folder, every file is taken that is a picture by its content or its name, but no hidden one. A line
    on stderr counts the files that were not read, by ending and reason.

    The published models are for non-commercial research only; the Apache licence is the code's. Another line
    on stderr names the file with their terms, WEIGHTS.md.

    Examples:

        pocketface predict me.jpg

        pocketface predict holiday/ --json > faces.json

        pocketface predict me.jpg --draw out.png

        pocketface predict me.jpg --model attributes --model expression
    """
    from pocketface.cropping.picture import read
    from pocketface.evaluation import draw as drawing
    from pocketface.evaluation import predict as predicting
    from pocketface.evaluation.variants import open_variants
    from pocketface.published import terms

    files, others = predicting.files_in(pictures)
    places = drawing.places(files, draw) if draw else []
    with _quietly():
        variants = open_variants(_models(model), threads)
    typer.echo(f"note: {terms()}", err=True)
    _warn(variants)
    rows = list(predicting.predict(variants, files, multiprocessing.cpu_count(), detect))
    for row, place in zip(rows, places, strict=False):
        if row["status"] in SEEN:
            picture, reduction = read(Path(row["path"]))
            drawing.write(place, drawing.draw(picture, row["faces"], reduction))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            typer.echo("\n".join(_described(row)))
    if any(path.is_dir() for path in pictures) and (note := predicting.skipped(rows, others)):
        typer.echo(f"note: {shown(note)}", err=True)
    if not any(row["status"] in SEEN for row in rows):
        typer.echo("error: none of the pictures could be read", err=True)
        raise typer.Exit(EXIT_BAD_INPUT)


@app.command()
@exit_cleanly
def evaluate(
    labels: Annotated[
        Path, typer.Option("--data", metavar="LABELS.csv", help="Pictures and their labels, see above.")
    ],
    model: Models = None,
    detect: Annotated[
        Search,
        typer.Option(
            help="`blazeface`, `hog` and `cnn` take the largest face they find; `none` takes each picture as "
            "one face; `auto` does so for pictures with a side under 80 pixels, else it is `blazeface`."
        ),
    ] = "auto",
    no_face: Annotated[
        Literal["reject", "center"],
        typer.Option(help="A picture with no detected face: count it as rejected, or take its middle."),
    ] = "reject",
    out: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT.json", dir_okay=False, help="Write the metrics here."),
    ] = None,
    threads: Threads = 1,
) -> None:
    """Measures models on labelled pictures of your own.

    LABELS.csv has a column `path` or `file`, relative to its folder, and any of `age` (years, or bands as in
    age_band), `age_group` (young, elderly), `age_band` (0-2, 3-9, 10-19, 20-29 ... 60-69, more than 70),
    `gender` (male, female), `expression` (angry, disgust, fear, happy, sad, surprise, neutral; only happy and
    sad means: which of the two) and CelebA's attribute names (0, 1). `race` and every further column may hold
    any words: the JSON file has the metrics of each such group. An empty cell is a missing label. Commas,
    semicolons or tabs separate. FairFace's csv is read as it is.

    Examples:

        pocketface evaluate --data labels.csv --json metrics.json

        pocketface evaluate --data fairface/fairface_label_val.csv --json metrics.json

        pocketface evaluate --model my.tflite --data faces.csv --detect none
    """
    from pocketface.core.files import write_json
    from pocketface.evaluation import face_search
    from pocketface.evaluation.labelled import evaluate_pictures
    from pocketface.evaluation.variants import open_variants

    with _quietly():
        variants = open_variants(_models(model), threads)
    _warn(variants)
    search = face_search.Search(detect=detect, centre_if_none=no_face == "center")
    found = evaluate_pictures(variants, labels, search, multiprocessing.cpu_count())
    typer.echo("\n".join(_figures(found)))
    for note in _notes(found):
        typer.echo(f"note: {shown(note)}", err=True)
    if out is not None:
        write_json(out, found)


@app.command()
@exit_cleanly
def explain(
    picture: Annotated[Path, typer.Argument(help="A picture that shows a face; the largest one is taken.")],
    model: Annotated[
        Path,
        typer.Option(
            "--model", help="A trained model's folder, weights and card; or a published model: `age_gender`."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.png", dir_okay=False)] = Path("maps.png"),
    maps: Annotated[int, typer.Option(min=1, help="Feature maps to draw of a layer, at most.")] = 16,
) -> None:
    """Draws what every layer of a model makes of a face: its feature maps, and the answers.

    Examples:

        pocketface explain me.jpg --model models/age_gender --out maps.png
    """
    from pocketface.published import model_card, named

    folder = named(model)
    card = model_card(folder)
    with _quietly():
        from pocketface import explain as explaining
        from pocketface.evaluation.draw import write
        from pocketface.training.fit import load

        face = explaining.see(card, picture)
        outputs = explaining.layer_outputs(load(card, folder), face)
    write(out, explaining.draw(outputs, card.outputs, maps))
    typer.echo(f"wrote {shown(out)}: {len(outputs)} layers")


@app.command("app")
@exit_cleanly
def serve_app(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", resolve_path=True, help="Write the site here, for any https host."),
    ] = None,
) -> None:
    """Serves the web app on this machine: faces by camera or file, in a browser, with no picture leaving it.

    The published models answer; those of a study that was run here can be asked, too. The first start fetches
    LiteRT.js (12 MB), which is kept. It answers to 127.0.0.1 and localhost only. The published models are for
    non-commercial research only: a line on stderr names the file with their terms, WEIGHTS.md.

    Examples:

        pocketface app

        pocketface app --export site
    """
    from pocketface.app.runtime import runtime
    from pocketface.app.serve import ADDRESS, server
    from pocketface.app.site import models, write
    from pocketface.published import terms

    _enter_repository()
    typer.echo(f"note: {terms()}", err=True)
    with TemporaryDirectory() as scratch:
        site = export or Path(scratch) / "site"
        fetched = runtime()
        with _quietly():
            write(site, models(), fetched)
        if export:
            typer.echo(f"wrote {export}; any host that serves it by https runs the app")
            return
        running = server(site, port)
        typer.echo(f"http://{ADDRESS}:{running.server_address[1]}/  (Ctrl-C ends it)")
        with running, suppress(KeyboardInterrupt):
            running.serve_forever()


@app.command()
@exit_cleanly
def check(
    update: Annotated[
        bool,
        typer.Option("--update", help="Take the answers of now over; says what it accepts."),
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(metavar="A.parquet", resolve_path=True, help="Answers of before.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="B.parquet", resolve_path=True, help="Answers to the same faces.")
    ] = None,
    junit: Annotated[Path | None, _out("--junit", "OUT.xml", "Write it as JUnit XML, for a CI.")] = None,
    markdown: Annotated[
        Path | None, _out("--markdown", "OUT.md", "Write it as Markdown, for a pull request.")
    ] = None,
) -> None:
    """Compares what was measured with baselines/STUDY.yaml, face by face; exit status 1 if something is not
    as there.

    With --answers and --baseline it compares two tables of answers of any origin (parquet or csv with the
    columns face, head, truth, answer, and more, see docs/gate.md), without this pipeline. Status 2: they
    cannot be compared.

    Examples:

        pocketface check --junit check.xml --markdown check.md

        pocketface check --update && git diff baselines/

        pocketface check --baseline before.parquet --answers after.parquet
    """
    from pocketface import gate, lockfile
    from pocketface.core.files import write_text
    from pocketface.study import load_study

    if (baseline is None) != (answers is None):
        raise PocketfaceError("--baseline and --answers belong together: two tables of answers")
    if baseline and update:
        raise PocketfaceError("--update is for a study; of two tables copy the one over the other")
    if baseline and answers:
        verdict = gate.check_tables(baseline, answers)
    else:
        _enter_repository()
        lockfile.heal()
        study = load_study()
        verdict = (
            gate.update(study, tell=lambda told: typer.echo(f"accepts:\n{told}"))
            if update
            else gate.check(study)
        )
    for out, told in ((junit, verdict.junit), (markdown, verdict.markdown)):
        if out is not None:
            write_text(out, told())
    if not update or not verdict.passed:
        typer.echo(verdict.text())
    if os.environ.get("GITHUB_ACTIONS") and not verdict.passed:
        typer.echo(verdict.annotations())
    if not verdict.passed:
        raise typer.Exit(1)


@app.command()
@exit_cleanly
def choose(
    task: Annotated[
        list[str] | None, typer.Option(help="What it shall answer: age, gender, expression... Default: each.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of the file: 1MB, 300kB, or any.")
    ] = None,
    max_latency: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A face, one thread, where it was measured: 5ms, or any."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What to compare by, for example macro_f1 or photos.gender_accuracy.")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PARAMS.yaml",
            autocompletion=_studies,
            help="A study; by default that of params.yaml.",
        ),
    ] = None,
    place: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            resolve_path=True,
            help="A repository in which a study was run, or a results.parquet; by default this repository.",
        ),
    ] = None,
) -> None:
    """Says which variant to take for a task, within limits of size and time, and why.

    Of the levels whose metrics are equivalent to float32's, the fastest is taken; of equally fast ones the
    smallest. Limits that are not given are the study's, under `champion`. Exit status 1 if no variant keeps
    within the limits.

    Examples:

        pocketface choose --max-size 1MB --max-latency 5ms --task expression

        pocketface choose --max-latency any --metric macro_f1
    """
    from rich.console import Console

    from pocketface import studies
    from pocketface.choosing import rule
    from pocketface.choosing.answer import print_choice
    from pocketface.choosing.settings import limits_of
    from pocketface.results.table import Table
    from pocketface.study import load_study

    asked = Path(study or outs.PARAMS).absolute()
    _enter_repository()
    if study and not asked.is_file():
        asked = studies.file_of(study)
    limits = limits_of(load_study(asked if study else outs.PARAMS).champion, max_size, max_latency)
    table = Table.read(place) if place and place.is_file() else Table.load(place or Path())
    choices = [rule.choose(table, name, limits, metric) for name in task or rule.tasks(table)]
    if not choices:
        raise PocketfaceError("no variant was measured; the report of the study says why")
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for choice in choices:
        print_choice(choice, console)
    if any(choice.take is None for choice in choices):
        raise typer.Exit(1)


@app.command()
@exit_cleanly
def track() -> None:
    """Logs models and variants to MLflow; what is there already stays, so run it as often as you like.

    The store is mlflow.db in this folder, or what MLFLOW_TRACKING_URI names.
    """
    from pocketface.study import load_study
    from pocketface.tracking.publish import track as publish

    _enter_repository()
    typer.echo(publish(load_study()).text())


@export.command("c")
@exit_cleanly
def export_c(
    variant: Annotated[
        Path,
        typer.Argument(metavar="VARIANT", help="A variant's folder, or a published model: `expression`."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.h", dir_okay=False)] = Path("model.h"),
    npu: Annotated[
        bool, typer.Option("--npu", help="Take the file that Vela compiled for an Ethos-U65.")
    ] = False,
) -> None:
    """Writes a model as a C array with its card in comments, for a microcontroller.

    Examples:

        pocketface export c variants/expression/int8_io --out model.h
    """
    from pocketface.core.files import write_text
    from pocketface.published import named_variant
    from pocketface.tflite.c_array import c_header

    text = c_header(named_variant(variant), npu)
    write_text(out, text)
    typer.echo(f"wrote {shown(out)}: {len(text):,} characters")


@app.command()
@exit_cleanly
def publish(
    model: Annotated[str, typer.Argument(help="A model of params.yaml that `dvc repro` has trained.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Its folder in weights/.")],
    levels: Annotated[
        str, typer.Option(metavar="LEVEL,LEVEL...", help="The levels whose files people get.")
    ] = "int8",
    half: Annotated[
        bool,
        typer.Option("--half", help="Float weights in half precision; level float16 shows what that costs."),
    ] = False,
    test: Annotated[
        bool,
        typer.Option(
            "--test", help="Measure on the reserved test parts, once a release; the card says when."
        ),
    ] = False,
) -> None:
    """Publishes a trained model in weights/NAME: float weights, the wanted levels, and a card.

    The card says what data and terms are behind it, which study, seed and command rebuild it, and what every
    level reached, whole and per group. The folder goes into git and into the package. weights/README.md, with
    the metrics of all published models, and weights/WEIGHTS.md, with their terms, are written again.

    Examples:

        pocketface publish age_gender --as pocket --levels int8,float16
    """
    from pocketface.core.settings import FileName, fits
    from pocketface.published import PREFIX
    from pocketface.publishing import publish as publishing
    from pocketface.report import published as overview
    from pocketface.study import load_study

    if not fits(name, FileName):
        raise PocketfaceError(f"--as {name!r}: name a folder of {PREFIX}, with letters, digits, . _ + -")
    _enter_repository()
    wanted = list(dict.fromkeys(levels.split(",")))
    card = publishing(load_study(), model, Path(PREFIX) / name, wanted, half=half, test=test)
    overview.write(Path(PREFIX))
    for level, made in card.levels.items():
        if made.included:
            found = [f"{d}.{m} {v:.4g}" for d, metrics in made.metrics.items() for m, v in metrics.items()]
            typer.echo(f"{PREFIX}{name}/{level}: {made.size_bytes:,} bytes, {', '.join(found)}")


@app.command()
@exit_cleanly
def quantize(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help=".keras, .h5, .onnx, .tflite, or a SavedModel's folder.")
    ],
    labels: Annotated[
        Path,
        typer.Option("--data", metavar="LABELS.csv", help="Labelled pictures; or a folder of folders."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path("quantized"),
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Pictures to calibrate on; by default some of the labelled ones."
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEAD=OUTPUT:LABEL,...", help="Which output answers a label, and the order of its words."
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(metavar="LEVEL,LEVEL...", help="By default all; the slow ones last."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, max=512, help="Of a model that takes any size of picture.")
    ] = None,
    detect: Annotated[
        Search, typer.Option(help="`none`: each picture is what the model sees; a finder: its largest face.")
    ] = "none",
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write studies/NAME.yaml, to go on with `dvc repro`.")
    ] = None,
) -> None:
    """Says what each quantization level of your own model costs on your own pictures, and which to take.

    How its pixels were prepared is found out: twelve usual settings are tried on the labelled pictures. What
    was assumed is said, and how sure it is. Writes a table, a page, and the files with their cards: first for
    the levels that are made in seconds, then once more with those that take minutes.

    Examples:

        pocketface quantize mine.keras --data labels.csv --out quantized

        pocketface quantize mine.onnx --data pictures/ --head label=probs:no,yes --calibrate more/
    """
    with _quietly():
        from pocketface.bring.heads import spoken
        from pocketface.bring.wizard import new_study, write_study
        from pocketface.bring.wizard import quantize as quantizing

        if study is not None:
            new_study(study, Path())
        chosen = levels.split(",") if levels else ()
        said, workers = [spoken(text) for text in head or ()], multiprocessing.cpu_count()
        done = quantizing(model, labels, out, calibrate, said, chosen, size, detect, workers, _say)
    if study is not None:
        _say(f"{write_study(study, done, labels, detect, Path())}: `pocketface run --study {study}`")


def _say(line: str) -> None:
    typer.echo(shown(line))


@data.command("add")
@exit_cleanly
def add_data(
    name: Annotated[str, typer.Argument(help="Of the dataset, in lower case.")],
    source: Annotated[
        Path, typer.Option("--csv", metavar="LABELS.csv", help="As of `evaluate`; or a folder a class.")
    ],
    column: Annotated[
        str, typer.Option("--label", metavar="NAME", help="What the classes of folders are, e.g. mask.")
    ] = "label",
    licence: Annotated[
        str, typer.Option(help="The terms of the pictures, which go into every card.")
    ] = "yours",
) -> None:
    """Makes a dataset of your own pictures: packs them, adds it to data/sources.yaml, prints its stanza.

    A column `split` (train, val, test) says which are measured on; without it, people are kept apart by a
    column `person` or `identity`, and else pictures go by their content. Further columns are labels of yours.

    Examples:

        pocketface data add mine --csv labels.csv

        pocketface data add masks --csv pictures/ --label mask
    """
    from pocketface.bring.faces import add, labelled

    source = source.resolve()
    _enter_repository()
    table, folder = labelled(source, column)
    labels, stanza = add(name, table, folder, Path(), licence)
    typer.echo(f"{name}: {len(table)} pictures, labelled {', '.join(labels)}; for params.yaml:")
    typer.echo(stanza, nl=False)


@data.command("list")
@exit_cleanly
def list_data() -> None:
    """Lists the datasets, those first that are here: where they come from, what they hold, their terms."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pocketface.fetching.status import status

    _enter_repository()
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("dataset", "here", "from", "pictures", "labels", "terms"):
        table.add_column(title, no_wrap=title in ("dataset", "here", "terms"))
    for row in sorted(status(), key=lambda row: not row.here):
        pictures = "?" if row.pictures is None else f"{row.pictures:,}"
        told = (row.dataset, row.here or "no", row.origin, pictures, ", ".join(row.labels), row.licence)
        table.add_row(*(escape(shown(cell)) for cell in told))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps off the terminal what TensorFlow and LiteRT say in C++, and warnings; progress stays."""
    sys.stderr.flush()
    with Path(os.devnull).open("wb") as nowhere, os.fdopen(os.dup(2), "w", buffering=1) as kept:
        os.dup2(nowhere.fileno(), 2)
        stays = kept if sys.stderr is sys.__stderr__ else sys.stderr
        try:
            with warnings.catch_warnings(action="ignore"), redirect_stderr(stays):
                yield
        finally:
            os.dup2(kept.fileno(), 2)


@studies.command("list")
@exit_cleanly
def list_studies() -> None:
    """Says of every ready study what it is."""
    from pocketface.studies import about, names

    _enter_repository()
    for name in names():
        typer.echo(f"{name}: {about(name)}")


@studies.command("use")
@exit_cleanly
def use_study(
    name: Annotated[
        str,
        typer.Argument(autocompletion=_studies, help="A file of studies/, without its ending."),
    ],
) -> None:
    """Makes studies/NAME.yaml the params file; then `dvc repro`, or `pocketface run`.

    An edited params.yaml that nothing else holds is not written over.

    Examples:

        pocketface study use utkface && dvc repro
    """
    from pocketface.studies import use

    _enter_repository()
    typer.echo(use(name))


@studies.command("release")
@exit_cleanly
def release_study() -> None:
    """Copies the short form of the report of the study in params.yaml to docs/results/, for git.

    The rest of a report is DVC's; `reports/STUDY/metrics.json` alone is in git, and every run writes it.
    """
    from pocketface.studies import release
    from pocketface.study import load_study

    _enter_repository()
    typer.echo(f"wrote {release(load_study().study)}")


def _enter_repository() -> None:
    """Goes up to the root of the repository, as DVC finds it, and says so; outside one, stays."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    if root != here:
        os.chdir(root)
        typer.echo(f"in {root}:", err=True)


def _models(named: Sequence[Path] | None) -> list[Path]:
    """The models to open: those named, patterns among them filled in, or the published default ones.

    Raises:
        PocketfaceError: there is none.
    """
    if not named:
        from pocketface.published import default_models

        return default_models()
    return [path for name in named for path in _matching(name)]


def _matching(name: Path) -> list[Path]:
    from pocketface.cards import CARD, VariantCard, read_card
    from pocketface.published import named_variant

    if "*" not in str(name):
        return [named_variant(name)]
    pattern = name.relative_to(name.anchor) / CARD
    found = sorted(card.parent for card in Path(name.anchor).glob(str(pattern)))
    made = [folder for folder in found if read_card(folder, VariantCard).status == "ok"]
    if not made:
        raise PocketfaceError(f"no model in {name}; `dvc repro` makes them")
    return made


def _warn(variants: Sequence["Variant"]) -> None:
    """Says of which models nothing could be checked."""
    for variant in variants:
        if variant.unchecked:
            typer.echo(
                f"note: {shown(variant.name)}: nothing could be checked: no card, and the file does not say "
                "what it means; its answers are taken by their names, and the crop is the default",
                err=True,
            )


def _described(row: dict[str, Any]) -> list[str]:
    from pocketface.evaluation.face_search import REASONS

    if not row["faces"]:
        return [shown(f"{row['path']}: {row.get('detail') or REASONS[row['status']]}")]
    return [shown(f"{row['path']}: {_face(face)}") for face in row["faces"]]


def _face(face: dict[str, Any]) -> str:
    from pocketface.evaluation.draw import described

    left, top, right, bottom = face["box"]
    said = [f"face {right - left}x{bottom - top} at {left},{top}", *described(face)]
    for other in face.get("second_opinions", []):
        said.append(f"second opinion of {other['model']}: {', '.join(described(other))}")
    return ", ".join(said)


def _figures(found: dict[str, Any]) -> Sequence[str]:
    lines = [f"{'pictures answered':28} {found['n']:>8}"]
    for reason in sorted({row["reason"] for row in found["rejected"]}):
        paths = [row["path"] for row in found["rejected"] if row["reason"] == reason]
        more = f" and {len(paths) - NAMED} more, see --json" if len(paths) > NAMED else ""
        lines.append(f"{'rejected: ' + reason:28} {len(paths):>8}   {shown(', '.join(paths[:NAMED]))}{more}")
    for metric, value in found["metrics"].items():
        (low, high), blind = found["intervals"][metric], found["baseline"][metric]
        sure = f"{low:.4f} to {high:.4f}"
        lines.append(f"{metric:28} {value:8.4f}   (95%: {sure}; best constant answer: {blind:.4f})")
    return lines


def _notes(found: dict[str, Any]) -> Iterator[str]:
    from pocketface.evaluation.label_csv import hint
    from pocketface.evaluation.labelled import MOST_GROUPS

    if found["unanswered"]:
        yield f"none of the models answers {', '.join(found['unanswered'])}"
    for name in found["idle"]:
        yield f"{name} is not run: it answers none of the labels"
    for name, heads in found["second"].items():
        yield f"{name} is not measured on {', '.join(heads)}: a model named before it answers that"
    for column in found["further"]:
        meant = f"; did you mean {label!r}?" if (label := hint(column)) else ""
        yield f"no label, so its words are groups: {column}{meant}"
    for column in found["ignored"]:
        yield f"neither a label nor, with over {MOST_GROUPS} words, groups: {column}"

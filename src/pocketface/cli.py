"""The command line: thin commands over the library.

Each command imports what it needs when it runs, so that `pocketface --help` answers at once.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketface.errors import EXIT_BAD_INPUT, PocketfaceError, exit_cleanly

app = typer.Typer(
    help="Face attributes that fit in a pocket: age, gender and expression from quantized TFLite models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
data = typer.Typer(help="The datasets that a study can use.", no_args_is_help=True)
app.add_typer(data, name="data")

DEFAULT_MODELS = "variants/*/int8"

Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        metavar="DIR_OR_TFLITE",
        help=f"A variant's folder or a .tflite file; once per task. By default `{DEFAULT_MODELS}`.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads of each model.")]


@app.command()
@exit_cleanly
def predict(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE_OR_FOLDER...", help="Where to look.")],
    model: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, one entry a picture.")] = False,
    threads: Threads = 1,
) -> None:
    """Says age, gender and expression of every face in pictures.

    A picture that cannot be read is reported and the rest goes on; exit status 2 if none could be read.

    Examples:

        pocketface predict me.jpg

        pocketface predict holiday/ --json > faces.json

        pocketface predict me.jpg --model variants/expression/float32
    """
    from pocketface.evaluation import predict as predicting
    from pocketface.evaluation.variants import open_variants

    files = predicting.pictures_in(pictures)
    variants = open_variants(model or _default_models(), threads)
    rows = list(predicting.predict(variants, files))
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            typer.echo("\n".join(_described(row)))
    if not any(row["status"] in ("ok", "no_face") for row in rows):
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
        Literal["auto", "dlib", "none"],
        typer.Option(
            help="`dlib` takes the largest face of each picture; `none` takes each picture as one face; "
            "`auto` does so only for pictures with a side under 80 pixels, where dlib finds nothing."
        ),
    ] = "auto",
    no_face: Annotated[
        Literal["reject", "center"],
        typer.Option(help="A picture with no detected face: count it as rejected, or take its middle."),
    ] = "reject",
    out: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT.json", dir_okay=False, help="Write the figures here."),
    ] = None,
    threads: Threads = 1,
) -> None:
    """Measures models on labelled pictures of your own.

    LABELS.csv has a column `path`, relative to its folder, and any of `age` (years), `age_group` (young,
    elderly), `age_band` (20-29, more than 70), `gender` (male, female), `race`, `expression` (only happy and
    sad means: which of the two) and CelebA's attribute names (0, 1). An empty cell is a missing label.

    Examples:

        pocketface evaluate --data labels.csv --json figures.json

        pocketface evaluate --model my.tflite --data faces.csv --detect none
    """
    from pocketface.evaluation.finding import Search
    from pocketface.evaluation.labelled import evaluate_pictures
    from pocketface.evaluation.variants import open_variants
    from pocketface.files import write_json

    variants = open_variants(model or _default_models(), threads)
    found = evaluate_pictures(variants, labels, Search(detect=detect, centre_if_none=no_face == "center"))
    typer.echo("\n".join(_figures(found)))
    if found["unanswered"]:
        typer.echo(f"note: none of the models answers {', '.join(found['unanswered'])}", err=True)
    if out is not None:
        try:
            write_json(out, found)
        except OSError as error:
            raise PocketfaceError(f"{out}: cannot be written ({error.strerror})") from None


@app.command()
@exit_cleanly
def explain(
    picture: Annotated[Path, typer.Argument(help="A picture that shows a face; the largest one is taken.")],
    model: Annotated[
        Path, typer.Option("--model", metavar="DIR", help="A trained model's folder: weights and card.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.png", dir_okay=False)] = Path("maps.png"),
    maps: Annotated[int, typer.Option(min=1, help="Feature maps to draw of a layer, at most.")] = 16,
) -> None:
    """Draws what every layer of a model makes of a face: its feature maps, and the answers.

    Examples:

        pocketface explain me.jpg --model models/age_gender --out maps.png
    """
    from pocketface import explain as explaining
    from pocketface.cards import ModelCard, read_card
    from pocketface.training.fit import load

    card = read_card(model, ModelCard)
    face = explaining.see(card, picture)
    outputs = explaining.layer_outputs(load(card, model), face)
    explaining.write(out, explaining.draw(outputs, card.outputs, maps))
    typer.echo(f"{out}: {len(outputs)} layers")


@app.command()
@exit_cleanly
def check(
    update: Annotated[
        bool,
        typer.Option("--update", help="Take the new figures over into the baseline; prints what changed."),
    ] = False,
) -> None:
    """Compares the report's figures with baselines/STUDY.yaml; exit status 1 if they are not as there."""
    from pocketface import gate
    from pocketface.study import load_study

    if update:
        typer.echo(gate.update(load_study()) or "nothing changed\n", nl=False)
        return
    verdict = gate.check(load_study())
    typer.echo(verdict.text())
    if not verdict.passed:
        raise typer.Exit(1)


@app.command()
@exit_cleanly
def track() -> None:
    """Publishes models and variants to MLflow; what is there already stays, so run it as often as you like.

    The store is mlflow.db in this folder, or what MLFLOW_TRACKING_URI names.
    """
    from pocketface.study import load_study

    with _pipeline_extra():
        from pocketface.tracking import track as publish

        published = publish(load_study())
    typer.echo(published.text())


@data.command("list")
@exit_cleanly
def list_data() -> None:
    """Says of every dataset: what it holds, its licence, where it would come from, what is here."""
    with _pipeline_extra():
        from pocketface.fetching.status import status

    for row in status():
        pictures = "? pictures" if row.pictures is None else f"{row.pictures:,} pictures"
        packed = "not packed" if row.raw is None else f"packed, {row.raw / 1e6:.0f} MB"
        typer.echo(f"{row.dataset}: {row.title}")
        typer.echo(f"    {pictures}, labelled {', '.join(row.labels)}")
        typer.echo(f"    licence: {row.licence}")
        typer.echo(f"    from {row.origin}; {row.archives} archives here, {packed}")


@contextmanager
def _pipeline_extra() -> Iterator[None]:
    """Says how to get a package that only the pipeline needs, if an import in the block misses it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PocketfaceError(
            f"{error.name} is not installed; `pip install 'pocketface[pipeline]'` brings it"
        ) from None


def _default_models() -> list[Path]:
    """The int8 variants made in this folder.

    Raises:
        PocketfaceError: there is none that works.
    """
    from pocketface.cards import VariantCard, read_card

    folders = sorted(card.parent for card in Path().glob(f"{DEFAULT_MODELS}/card.json"))
    made = [folder for folder in folders if read_card(folder, VariantCard).status == "ok"]
    if not made:
        raise PocketfaceError(
            f"no model in {DEFAULT_MODELS} of this folder; make them with `dvc repro`, or say --model"
        )
    return made


def _described(row: dict[str, Any]) -> list[str]:
    """A picture's answers as lines for a person."""
    if not row["faces"]:
        return [f"{row['path']}: {row['status']}"]
    return [f"{row['path']}: {_face(face)}" for face in row["faces"]]


def _face(face: dict[str, Any]) -> str:
    said = []
    for head, answer in face.items():
        if head == "box":
            left, top, right, bottom = answer
            said.append(f"face {right - left}x{bottom - top} at {left},{top}")
        elif isinstance(answer, str):
            said.append(f"{head} {answer} ({face[f'{head}_probability']:.0%})")
        elif not head.endswith("_probability"):
            said.append(f"{head} {answer:.0f}")
    return ", ".join(said)


def _figures(found: dict[str, Any]) -> Sequence[str]:
    """Figures as lines for a person: all pictures, and why some have none."""
    lines = [f"{'pictures answered':28} {found['n']:>8}"]
    reasons = [row["reason"] for row in found["rejected"]]
    lines += [f"{'rejected: ' + reason:28} {reasons.count(reason):>8}" for reason in sorted(set(reasons))]
    for metric, value in found["metrics"].items():
        (low, high), blind = found["intervals"][metric], found["baseline"][metric]
        sure = f"{low:.4f} to {high:.4f}"
        lines.append(f"{metric:28} {value:8.4f}   (95%: {sure}; best constant answer: {blind:.4f})")
    return lines

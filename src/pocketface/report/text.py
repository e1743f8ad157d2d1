"""What the report says in words, in Markdown and in HTML alike."""

import platform
from datetime import UTC, datetime
from importlib import metadata

from pocketface.report.outs import Results
from pocketface.results.table import FACES, KERNELS

VERSIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "ai-edge-litert",
    "dlib-bin",
    "opencv-python-headless",
    "numpy",
)
"""Packages that decide what a variant is and answers."""

GLOSSARY = """\
MAE is the mean absolute error, CS@5 the share of faces whose age is at most 5 years off. In brackets stands
the change against the same model's `float32` variant: in years for MAE, in percentage points for shares, as a
ratio for size and time. Time is the median for one face with one thread. kB and MB are powers of ten."""

VERDICTS = """\
*equivalent*: the change lies within the margin, with its whole interval. *worse*, *better*: the change is
more than chance, after correction for the number of levels compared. *cannot tell*: neither is shown; beside
it stands the smallest change that so many faces could show. docs/statistics.md says how each is tested."""

GROUPS = """\
Groups are by label, on the same faces as above, with 95% intervals. *Age-standardised*: the faces of every
group are weighed so that all groups have the same ages. *gap* is from the best to the worst group of at least
30 faces; where its interval begins at 0, it may be chance. A dash in a table by two labels: fewer than 30
faces. A signed error above 0 makes people older."""

ETHICS = """\
Gender is a binary annotation of appearance, as the datasets record it; it is not a person's gender identity.
Race is the datasets' annotation: it serves to compare errors between groups and is never a model's answer.
Ages, genders and expressions are estimates from one picture and no ground for decisions about a person."""

CELEBRITIES = """\
CelebA shows celebrities, as VGGFace2 and IMDB-WIKI do, which the weights faceres saw: a model that learned
from these may have seen people who are measured here."""

SYNTHETIC = ("starter", "starter_test")
"""Datasets of synthetic photographs."""


def measured_on(results: Results) -> str:
    """What was measured on whom, in a sentence."""
    counts: dict[str, int] = {}
    for variant in results.running():
        for row in variant.rows():
            if row.dataset and row.metric != FACES:  # a face may lack the label
                counts[row.dataset] = max(counts.get(row.dataset, 0), row.n or 0)
    parts = [f"{n:,} faces of {name}" for name, n in counts.items()] or ["no faces"]
    told = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    running = [model for model in results.study.models if results.running(model)]
    models = "1 model" if len(running) == 1 else f"{len(running)} models"
    sentence = f"{models} at {len(results.study.levels)} levels, measured on {told}."
    if counts and set(counts) <= set(SYNTHETIC):
        return f"{sentence} These are synthetic photographs: the metrics say nothing about people."
    return f"{sentence} {' '.join(CELEBRITIES.split())}" if "celeba" in counts else sentence


def made(results: Results, commit: str | None) -> str:
    """When, of which commit, and on which machine."""
    parts = [f"{datetime.now(UTC):%Y-%m-%d}", f"commit {commit[:12]}" if commit else "", machine(results)]
    return ", ".join(filter(None, parts))


def machine(results: Results) -> str:
    """Where latencies were measured."""
    hosts = [variant.timing.host for variant in results.variants if variant.timing]
    return "; ".join(sorted({"{cpu}, {cores} cores, {system}".format_map(host) for host in hosts if host}))


def head_lines(results: Results) -> list[tuple[str, str]]:
    """What was run on what, with what: name -> line."""
    study = results.study
    samples = ", ".join(
        name if data.sample == 1 else f"{name} ({100 * data.sample:g}% of its pictures)"
        for name, data in study.datasets.items()
    )
    kernels = dict.fromkeys(row.text for row in results.table.rows if row.metric == KERNELS and row.text)
    return [
        ("Command", f"`pocketface run --study {study.study}`"),
        ("Data", f"{samples}; seed {study.seed}"),
        ("Kernels", ", ".join(kernels) or "nothing was run"),
        ("Versions", versions()),
    ]


def about(results: Results, model: str) -> str:
    """What a model is and what it was measured on, in a sentence."""
    first = results.running(model)[0]
    card, faces = first.card, first.rows(FACES)[0]
    n = max((row.n or 0 for row in first.rows() if row.main), default=0)
    measured = f", split {faces.text}, {n} faces" if n else ""
    return f"{card.architecture} for {', '.join(card.outputs)}; on {faces.dataset}{measured}."


def facts(results: Results, model: str) -> list[tuple[str, str]]:
    """The model card as lines: name -> what it says."""
    card = results.of(model)[0].card
    answers = [f"{head} ({output.unit or ', '.join(output.labels)})" for head, output in card.outputs.items()]
    options = ", ".join(f"{name} {value}" for name, value in card.options.items())
    training = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in card.training.items()
        if not isinstance(value, dict | list) and value is not None
    )
    window = f"{card.input.size} x {card.input.size} x {card.input.channels}, raw 0..255 pixels"
    lines = {
        "Answers": "; ".join(answers),
        "Input": window,
        "Architecture": f"{card.architecture} ({options})" if options else card.architecture,
        "Size": f"{card.parameters:,} parameters, {card.macs / 1e6:.1f} M multiply-adds a face",
        "Trained on": card.dataset,
        "Training": training,
        "Terms": card.licence,
    }
    return [(name, line) for name, line in lines.items() if line]


def timed_on(results: Results) -> str:
    """On which machine, and how."""
    return (
        f"One face at a time on {machine(results)}. All levels of a model took turns, so that other load on "
        "the machine touches all; the ratios compare their medians."
    )


def versions() -> str:
    """The versions of what builds and runs the variants, as installed."""
    installed = ((name, next(iter(metadata.distributions(name=name)), None)) for name in VERSIONS)
    found = [f"{name} {package.version}" for name, package in installed if package]
    return ", ".join([f"Python {platform.python_version()}", *found])

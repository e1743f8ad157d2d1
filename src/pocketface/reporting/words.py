"""What the report says in words, in Markdown and in HTML alike."""

from pocketface.reporting import tables
from pocketface.reporting.results import Results

GLOSSARY = """\
MAE is the mean absolute error, CS@5 the share of faces whose age is at most 5 years off. In brackets stands
the change against the same model's `float32` variant: in years for MAE, in percentage points for shares, as a
ratio for size and latency. kB and MB are powers of ten."""

NOISE = """\
A change is called *noise* where chance alone would often make it, and *real* otherwise: for shares of right
answers by McNemar's exact test at 5%, for all else by the 95% interval of a paired bootstrap, each on the
very faces that float32 answered. It is *negligible* where it is real and rounds to nothing. Of twenty changes
that are none, one is called real by chance; so read a change's size first, and then its verdict."""

GROUPS = """\
Groups are by label, on the same faces as above. A figure of few faces is noisy, and so is a gap to it."""

ETHICS = """\
Gender is a binary annotation of appearance, as the datasets record it; it is not a person's gender identity.
Race is UTKFace's annotation: it serves to compare errors between groups and is never a model's answer. Ages,
genders and expressions are estimates from one picture and no ground for decisions about a person."""


def command(results: Results) -> str:
    """What makes this report."""
    return f"pocketface study use {results.study.study} && dvc repro"


def head_lines(results: Results) -> list[tuple[str, str]]:
    """What was run on what, with what: name -> line."""
    study = results.study
    samples = ", ".join(
        name if data.sample == 1 else f"{name} ({100 * data.sample:g}% of its pictures)"
        for name, data in study.datasets.items()
    )
    kernels = sorted({v.evaluation.kernels for v in results.variants if v.evaluation.kernels})
    return [
        ("Command", f"`{command(results)}`"),
        ("Data", f"{samples}; seed {study.seed}"),
        ("Kernels", ", ".join(kernels) or "nothing was run"),
        ("Versions", tables.versions()),
    ]


def timed_on(results: Results) -> str:
    """On which machine, and how."""
    hosts = {
        "{cpu}, {cores} cores, {system}".format_map(variant.timing.host)
        for variant in results.variants
        if variant.timing and variant.timing.host
    }
    return (
        f"One face at a time on {'; '.join(sorted(hosts))}. The ratios compare medians of runs that took "
        "turns with the float32 variant, so that other load on the machine touches both."
    )

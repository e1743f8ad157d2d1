"""All comparisons of a study, and the ways to tell them: text, JUnit XML, Markdown."""

from dataclasses import dataclass
from xml.etree import ElementTree

from pocketface.gate.baseline import baseline_path
from pocketface.gate.compare import FLOAT32, Row
from pocketface.metrics.naming import change, label_of, shown
from pocketface.report.cells import Table

MOST_ROWS = 40
"""Of a Markdown table: a comment on a pull request has a limit of 65,536 letters."""


@dataclass(frozen=True)
class Verdict:
    """All comparisons of a study, in the order of models, levels and figures."""

    study: str
    rows: tuple[Row, ...]

    @property
    def wrong(self) -> list[Row]:
        """The rows that are not `ok`."""
        return [row for row in self.rows if row.verdict != "ok"]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def summary(self) -> str:
        """The outcome in a line."""
        if self.passed:
            return f"{self.study}: all {len(self.rows)} comparisons with the baseline pass"
        return f"{self.study}: {len(self.wrong)} of {len(self.rows)} comparisons with the baseline fail"

    def readings(self) -> list[str]:
        """Where to look, a line per model that has something wrong.

        What float32 did tells training from quantization: a level is made of the same weights.
        """
        return [self._reading(model) for model in dict.fromkeys(row.model for row in self.wrong)]

    def _reading(self, model: str) -> str:
        levels = list(dict.fromkeys(row.level for row in self.rows if row.model == model))
        wrong = [row for row in self.wrong if row.model == model]
        changed = list(dict.fromkeys(row.level for row in wrong))
        gone = [row.level for row in wrong if row.metric == "variant"]
        figures = list(dict.fromkeys(row.metric for row in wrong if row.metric != "variant"))
        what = f" ({', '.join(figures[:4])}{', ...' if len(figures) > 4 else ''})" if figures else ""
        if gone == changed:
            where = f"{', '.join(gone)} came, went, failed or recovered; the others are as before"
        elif changed == levels and len(levels) > 1:
            where = f"every level changed{what}: look at its training, faces and labels, not at quantization"
        elif FLOAT32 in levels and FLOAT32 not in changed:
            who = ", ".join(changed)
            where = f"float32 is as before, {who} changed{what}: look at conversion and calibration"
        else:
            where = f"{', '.join(changed)} changed{what}"
        return f"{model}: {where}"

    def text(self) -> str:
        """A line per wrong row, where to look, and a closing line."""
        if self.passed:
            return f"check: {self.summary()}"
        return "\n".join(
            [
                *(str(row) for row in self.wrong),
                *(f"check: {reading}" for reading in self.readings()),
                f"check: {self.summary()}, {baseline_path(self.study)}; "
                "if the change is meant: `pocketface check --update`",
            ]
        )

    def junit(self) -> str:
        """JUnit XML: a suite per model, a test case per comparison, named `FIGURE, RULE`."""
        suites = ElementTree.Element("testsuites", name=f"pocketface check {self.study}")
        for model in dict.fromkeys(row.model for row in self.rows):
            rows = [row for row in self.rows if row.model == model]
            wrong = [row for row in rows if row.verdict != "ok"]
            suite = ElementTree.SubElement(
                suites,
                "testsuite",
                name=f"{self.study}.{model}",
                tests=str(len(rows)),
                failures=str(len(wrong)),
                errors="0",
                skipped="0",
            )
            for row in rows:
                case = ElementTree.SubElement(
                    suite,
                    "testcase",
                    classname=f"{self.study}.{model}.{row.level}",
                    name=f"{row.metric}, {row.check}",
                )
                if row.verdict != "ok":
                    failure = ElementTree.SubElement(case, "failure", type=row.verdict, message=str(row))
                    failure.text = str(row)
        ElementTree.indent(suites)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, "unicode") + "\n"

    def markdown(self) -> str:
        """For a pull request: the outcome, where to look, what is wrong, and every variant's figures."""
        mark = "passes" if self.passed else "**fails**"
        parts = [f"### The gate {mark}", f"{self.summary()} (`{baseline_path(self.study)}`)."]
        if not self.passed:
            parts += ["\n".join(f"- {reading}" for reading in self.readings()), self._wrong_table()]
            parts.append("If the change is meant: `pocketface check --update`, and commit the baseline.")
        for model in dict.fromkeys(row.model for row in self.rows):
            table = self._model_table(model)
            parts.append(f"<details><summary><code>{model}</code></summary>\n\n{table}\n\n</details>")
        return "\n\n".join(parts) + "\n"

    def _wrong_table(self) -> str:
        header = ["variant", "figure", "verdict", "was", "is", "allowed"]
        rows = [
            [row.variant, row.what, row.verdict, _told(row.was), _told(row.is_), row.allowed]
            for row in self.wrong[:MOST_ROWS]
        ]
        more = len(self.wrong) - len(rows)
        return Table(header, rows, 3).markdown() + (f"\n\nand {more} more" if more else "")

    def _model_table(self, model: str) -> str:
        """A row per level: every figure, in brackets what changed."""
        rows = [row for row in self.rows if row.model == model and row.check in ("value", "variant")]
        figures = list(dict.fromkeys(row.metric for row in rows if row.check == "value"))
        cells = {(row.level, row.metric): _cell(row) for row in rows if row.check == "value"}
        states = {row.level: _told(row.is_) for row in rows if row.check == "variant"}
        bad = {row.level for row in self.wrong if row.model == model}
        body = [
            [
                level,
                states.get(level, "changed" if level in bad else "as before"),
                *(cells.get((level, figure), "") for figure in figures),
            ]
            for level in dict.fromkeys(row.level for row in rows)
        ]
        header = ["level", "state", *(_heading(figure) for figure in figures)]
        return Table(header, body, 2).markdown()


def _heading(figure: str) -> str:
    dataset, dot, _ = figure.rpartition(".")
    return f"{dataset} {label_of(figure)}" if dot else label_of(figure)


def _cell(row: Row) -> str:
    if isinstance(row.is_, str) or isinstance(row.was, str):
        return ""
    value = shown(row.metric, row.is_)
    return value if row.was == row.is_ else f"{value} ({change(row.metric, row.is_, row.was)})"


def _told(value: float | str | None) -> str:
    return "absent" if value is None else value if isinstance(value, str) else f"{value:g}"

"""All findings of a study, and the ways to tell them: text, JUnit XML, Markdown, annotations of GitHub."""

from dataclasses import dataclass
from typing import get_args
from xml.etree import ElementTree

from pocketface.gate.compare import Finding, Stage
from pocketface.report.cells import Table

ORDER = get_args(Stage)
"""The stages as they follow each other: what is wrong in one shows in all later ones."""
SHOWN, DETAIL = 12, 36
"""Variants and findings that are listed; JUnit has all."""


@dataclass(frozen=True)
class Verdict:
    """The findings of a study.

    Attributes:
        source: what was compared with.
        accept: how to make that what was measured.
    """

    study: str
    findings: tuple[Finding, ...]
    source: str
    accept: str = "`pocketface check --update`"

    @property
    def wrong(self) -> list[Finding]:
        """What is not allowed, the earliest stage first."""
        return sorted((one for one in self.findings if not one.ok), key=lambda one: ORDER.index(one.stage))

    @property
    def passed(self) -> bool:
        """Whether all is allowed."""
        return not self.wrong

    @property
    def look_at(self) -> str | None:
        """The stage to look at: the earliest one that something points to."""
        return self.wrong[0].stage if self.wrong else None

    def summary(self) -> str:
        """The outcome in a line."""
        if self.passed:
            return f"{self.study}: all {len(self.findings)} comparisons with {self.source} pass"
        return f"{self.study}: {len(self.wrong)} of {len(self.findings)} comparisons with {self.source} fail"

    def text(self) -> str:
        """For a terminal: the outcome, the stage to look at, a line a variant, then all that failed."""
        if self.passed:
            return f"check: {self.summary()}"
        by_place: dict[tuple[str, str], list[Finding]] = {}
        for one in self.wrong:
            by_place.setdefault((one.stage, one.where), []).append(one)
        lines = [f"check: {self.summary()}", f"check: look at stage {self.look_at} first"]
        for (stage, _), (first, *others) in [*by_place.items()][:SHOWN]:
            lines.append(f"  {stage}: {first}" + (f" (and {len(others)} more)" if others else ""))
        lines += [f"  and {len(by_place) - SHOWN} more"] if len(by_place) > SHOWN else []
        if len(self.wrong) > len(by_place):
            lines += ["check: in detail", *(f"  {one.stage}: {one}" for one in self.wrong[:DETAIL])]
            lines += [f"  and {len(self.wrong) - DETAIL} more"] if len(self.wrong) > DETAIL else []
        return "\n".join([*lines, f"check: if the change is meant: {self.accept}"])

    def annotations(self) -> str:
        """Lines that GitHub's log shows as errors of the run."""
        title = "::error title=pocketface check"
        return "\n".join(f"{title}: {one.stage}::{_escaped(str(one))}" for one in self.wrong[:SHOWN])

    def markdown(self) -> str:
        """For a pull request: the outcome, where to look, and a table of what moved."""
        mark = "passes" if self.passed else "**fails**"
        parts = [f"### The gate {mark}", f"{self.summary()}."]
        if self.wrong:
            rows = [[one.stage, one.where, one.rule, one.text] for one in self.wrong[:DETAIL]]
            parts.append(f"Look at stage `{self.look_at}` first.")
            parts.append(Table(["stage", "where", "rule", "found"], rows, 4).markdown())
            more = len(self.wrong) - DETAIL
            parts += [f"and {more} more"] if more > 0 else []
            parts.append(f"If the change is meant: {self.accept}, and commit the baseline.")
        return "\n\n".join(parts) + "\n"

    def junit(self) -> str:
        """JUnit XML: a suite per stage, a test case per comparison."""
        suites = ElementTree.Element("testsuites", name=f"pocketface check {self.study}")
        for stage in ORDER:
            own = [one for one in self.findings if one.stage == stage]
            failures = sum(not one.ok for one in own)
            about = {"name": f"{self.study}.{stage}", "tests": str(len(own)), "failures": str(failures)}
            suite = ElementTree.SubElement(suites, "testsuite", about | {"errors": "0", "skipped": "0"})
            for one in own:
                place = f"{self.study}.{one.where.replace('/', '.')}"
                case = ElementTree.SubElement(suite, "testcase", classname=place, name=one.rule)
                if not one.ok:
                    ElementTree.SubElement(case, "failure", type=one.stage, message=str(one)).text = str(one)
        ElementTree.indent(suites)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, "unicode") + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

"""What a verification report says, for tests."""

from __future__ import annotations


def kinds(report, *, wrong=True):
    return {problem.kind for problem in report.problems if problem.wrong == wrong}


def said(report):
    return "\n".join(report.lines())

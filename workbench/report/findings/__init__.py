"""Findings that replay: a view, its selection and its numbers in one small file, checked later.

`keep_finding` writes a finding, `read_finding` refuses anything else, and `check_finding`
recomputes every number from the study as it is now. `SOURCES` says where each kind of number
comes from.
"""

from workbench.report.findings.check import Drift, FindingCheck, check_finding
from workbench.report.findings.finding import (
    FOLDER,
    Finding,
    Number,
    Selected,
    View,
    finding_files,
    is_finding,
    read_finding,
)
from workbench.report.findings.keep import keep_finding, selected_rows
from workbench.report.findings.sources import SOURCES

__all__ = [
    "Drift",
    "FOLDER",
    "Finding",
    "FindingCheck",
    "Number",
    "SOURCES",
    "Selected",
    "View",
    "check_finding",
    "finding_files",
    "is_finding",
    "keep_finding",
    "read_finding",
    "selected_rows",
]

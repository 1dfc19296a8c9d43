"""Reporting: a result as one HTML page, and as one terminal screen."""

from bayescg.reporting.motion import Motion
from bayescg.reporting.report import report
from bayescg.reporting.summary import summary

__all__ = ["Motion", "report", "summary"]

"""A run as one page of HTML: what it was, its curves, its results.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.reporting.page import write_report, write_report_or_warn

__all__ = ["write_report", "write_report_or_warn"]

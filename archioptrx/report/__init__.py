"""The report of a search: one self-contained HTML page. See `archioptrx.report.run_report.write_report`."""

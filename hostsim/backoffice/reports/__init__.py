"""Reports: sums kept beside the books, read by period, drawn here, written as CSV and PDF."""

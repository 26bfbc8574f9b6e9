"""Invoices and credit notes: composed from the books, numbered, chained by hashes, shown as HTML
and PDF in the driver's language, found without an account."""

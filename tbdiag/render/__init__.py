"""Report -> text of one format. Reads the report only."""

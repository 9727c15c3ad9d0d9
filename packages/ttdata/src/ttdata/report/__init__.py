"""What a dataset holds, as tables, text and one HTML page."""

"""What a reader sees: tables and figures, made from the files in metrics/ alone."""

"""What a reader sees: tables and figures, made from metrics/ and predictions/."""

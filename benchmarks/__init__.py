"""What users wait for, against a reference: `make bench` writes results.md and results.json."""

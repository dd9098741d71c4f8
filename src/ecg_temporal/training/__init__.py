"""Training: settings, batches, one flat loop, and the checkpoint that it resumes from."""

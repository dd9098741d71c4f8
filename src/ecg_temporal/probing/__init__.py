"""What trained models make of time, and what they cost."""

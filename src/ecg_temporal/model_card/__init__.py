"""Of one trained model: for whom it works how well, and where it fails."""

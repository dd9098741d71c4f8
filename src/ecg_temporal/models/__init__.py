"""The compared models: a CNN trunk that all share, a recurrent stack on top of it, a linear classifier."""

"""A study of how much temporal modelling multi-label 12-lead ECG classification needs."""

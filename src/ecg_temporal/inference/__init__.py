"""Trained models put to use on records that the project has never seen."""

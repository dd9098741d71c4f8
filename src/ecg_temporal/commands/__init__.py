"""The commands of `ecg-temporal`, one a module; cli.py has their arguments."""

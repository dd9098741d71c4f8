"""The commands of `ecg-temporal`, one a module, beside what they share; cli.py has their arguments."""

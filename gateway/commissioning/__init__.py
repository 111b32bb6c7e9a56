"""Commissioning: serial adapters, scans, registers and guesses, and what of it goes into a site file."""

"""Detectors: each module judges readings by one kind of rule."""

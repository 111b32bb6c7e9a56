"""Detectors against recorded or simulated truth: what they find, what they miss, how late, how often for nothing."""

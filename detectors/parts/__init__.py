"""What detectors are made of; each part serves several of them, or keeps one short. None of it is a plugin."""

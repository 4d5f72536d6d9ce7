"""Ways to use a Detector: scoring whole files, scanning recordings, an HTTP service, a dashboard."""

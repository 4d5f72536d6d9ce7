"""Ways to use a Detector: scoring whole files, an HTTP service, a dashboard."""

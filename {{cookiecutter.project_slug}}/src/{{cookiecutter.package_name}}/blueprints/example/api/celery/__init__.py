"""The example with jobs."""

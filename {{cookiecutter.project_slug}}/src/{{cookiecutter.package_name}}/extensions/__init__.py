"""What the service is extended with, one module or folder each: those that were chosen, and your own."""

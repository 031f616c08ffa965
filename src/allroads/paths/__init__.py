"""What lies between points."""

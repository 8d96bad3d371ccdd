"""What a file says of itself: walkers over JPEG, PNG and WebP that read headers and never decode."""

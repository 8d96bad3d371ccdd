"""What became of photos: lists, details, and the work stopped or done again."""

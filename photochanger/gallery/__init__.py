"""Results for those who come back for them: job status, result descriptions, the pictures themselves."""

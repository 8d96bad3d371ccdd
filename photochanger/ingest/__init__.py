"""A booth's request: access, upload, admission, reply."""

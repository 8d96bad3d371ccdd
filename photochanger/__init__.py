"""PhotoChanger: a booth's photo in, the processed photo out, inside the booth's waiting window."""

__version__ = "0.1.0"

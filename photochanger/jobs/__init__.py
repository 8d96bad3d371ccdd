"""One photo's work: the job task, its lane, its rows, its settle sequence."""

"""Statistics from roll-ups: what an answer costs does not depend on how much there was."""

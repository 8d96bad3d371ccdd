"""AI providers: one folder each, one supervised group each."""

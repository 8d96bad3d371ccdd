"""The contract: that it is what the code does, that it breaks no client, that the service keeps it."""

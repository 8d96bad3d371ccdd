"""`/docs`: pages to read and try the contract, from files that come with the service."""

"""What our English sentences are in Russian: the sentences by subject, and the look-up."""

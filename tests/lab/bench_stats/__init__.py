"""What statistics cost, however long the history: every route at 10,000 to 5,000,000 provider calls.

A real PostgreSQL of its own is filled with ninety days of fifteen booths up to this minute: photos, calls, pictures,
failures with the providers' codes, refusals. They are counted by the roll-up's own statement, in larger batches and
without its rests; while that goes on the server may lose everything in a crash, which makes it several times quicker.
Then the server is started anew, durable as shipped, and asked over a socket. Every request is compared with one just
before it to a bare route, which does one `SELECT 1` through the same stack. At last the roll-up is timed beside photos
that are being written. All of it takes about half an hour on two cores that have nothing else to do.
"""

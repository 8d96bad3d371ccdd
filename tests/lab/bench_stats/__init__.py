"""What statistics cost, however long the history: every route at 10,000 to 5,000,000 provider calls.

A real PostgreSQL of its own, durable as shipped, is filled with ninety days of fifteen booths, counted by the
service's own roll-up, and asked over a socket. Each answer is compared with that of a bare route that does one
`SELECT 1` through the same stack. Then the roll-up is timed, alone and beside photos that are being written.
"""

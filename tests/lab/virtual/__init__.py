"""The job's own machinery on a clock that jumps: hours of photos in seconds, the same every time.

Everything between the upload and the reply is the real thing: lanes, jobs, attempts, settling, groups, admission,
picture threads, files, verification. Three things are not: what a provider does (`providers`), PostgreSQL (`rows`,
which keeps to the rules of the real store's statement), and threads (`threads`: the clock would jump over real ones).
"""

"""Turbotext's photo methods: a job in a queue that is asked for until it is done."""

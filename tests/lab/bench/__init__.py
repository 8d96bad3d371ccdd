"""What a photo costs in the service, measured against a bare server that does the unavoidable work only.

    python -m tests.lab.bench            the whole run, about six minutes
    python -m tests.lab.bench --quick    a look, a minute and a half
    python -m tests.lab.bench --self     floor against floor: how far this machine's noise alone moves the ratios

Five processes: the fixed-answer provider, the floor, the service, the load and the light GET client. Floor and
service take turns within one run, so machine and neighbours weigh on both; read the ratios, not the milliseconds.
"""

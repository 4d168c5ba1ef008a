"""What faces the CSMS, the balancing authority and the market; one process, role `utility`.

Read `context` first: it is all that the services of this process share.
"""

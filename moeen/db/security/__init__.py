"""Who may see and do what.

`identity`: who this transaction is. `access`: what each role may do. `signing`: what
proves it. `advisors`: what row security must never allow.
"""

"""Long work that a button or a schedule starts, in Celery's workers or in a child process of this machine.

A leaf: it imports no other app. A job is a management command; `JobRun` is one run of it.
"""

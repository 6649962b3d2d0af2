"""The place of ``JobRun`` and of the one way a job is started, by Celery or in a child process.

A leaf: it imports no other app.
"""

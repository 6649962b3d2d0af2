"""The dialects that clients of commercial image-captcha APIs speak. Views alone: `solving.services` decides.

Each is a parser of its requests, a renderer of its answers, and a column in the table of errors (`errors`).
Every answer is one of the dialect's, whatever was sent: no page, no redirect, no 5xx.
"""

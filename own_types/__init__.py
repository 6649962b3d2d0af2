"""Types that customers bring: opened on account pages, labelled, trained for credits, read for them alone.

It joins `accounts`, `labeling`, `ml` and `jobs`; nothing of it is needed to solve.
"""

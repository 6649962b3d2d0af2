"""Models of the service: the recognition library and, beside it, its Django side."""

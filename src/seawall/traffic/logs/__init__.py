"""Recorded requests: the logs and recordings of servers, proxies and browsers, read into one kind of record."""

"""The HTTP server: interactions in, the live page and machine-readable figures out.

Needs the extra `server`.
"""

"""The HTTP server: interactions in, the dashboard and what it draws out.

Needs the extra `server`.
"""

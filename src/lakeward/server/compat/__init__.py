"""Endpoints for the SDKs of other products: change the host name, and they write into this lake.

One file a dialect, and its mapping as a table in `docs/compatible.md`.
"""

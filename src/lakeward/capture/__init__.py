"""Adapters that turn a framework's calls into `api_call` records."""

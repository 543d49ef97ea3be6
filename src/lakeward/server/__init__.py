"""The server: what a lake answers over HTTP. Needs the extra `server`."""

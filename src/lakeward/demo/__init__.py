"""The demo: a small contractor-partner app on the public API only, and visitors for it."""

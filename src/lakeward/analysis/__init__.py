"""Questions to the lake: typed, compiled to SQL, answered in rows of named columns."""

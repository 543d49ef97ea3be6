"""Feature flags and experiments: who sees what, decided in the process, told to the lake.

In: definitions from a file or the app database, and attributes of whoever is served. Out: a value,
and once for each unit an `experiment_exposure`. Nothing is raised into the app; an evaluation
neither reads nor waits. The provider for OpenFeature is in `lakeward.flags.provider`.
"""

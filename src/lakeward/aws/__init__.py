"""AWS: CloudFormation templates of what a lake needs there, and how they are deployed.

Needs the extra `aws`; nothing here is imported by an app that records.
"""

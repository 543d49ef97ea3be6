"""A bucket and a table of DynamoDB as files, for whoever looks without Lakeward.

    python tests/mirroring.py ENDPOINT BUCKET TABLE FOLDER

Each object under its key, and each item as a line of FOLDER/items.jsonl, in DynamoDB's wire form.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3
from botocore.config import Config


def main() -> None:
    """Copy all there is."""
    endpoint, bucket, table, folder = sys.argv[1:]
    s3, dynamodb = (
        boto3.client(
            service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="looks",
            aws_secret_access_key="looks", config=Config(s3={"addressing_style": "path"}),
        )
        for service in ("s3", "dynamodb")
    )  # fmt: skip
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for row in page.get("Contents", ()):
            path = Path(folder, bucket, row["Key"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read())
    with Path(folder, "items.jsonl").open("w") as file:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            file.writelines(json.dumps(item) + "\n" for item in page["Items"])


if __name__ == "__main__":
    main()

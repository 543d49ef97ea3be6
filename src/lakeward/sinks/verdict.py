"""What an AWS error means for the follower: wait and repeat, stop and say why, or leave one item.

In: exceptions of boto3 and obstore. Out: an error of our tree whose sentence names the mend. Codes
alone are read: messages of AWS can quote keys, signatures and values, so none of them is passed on.
"""

from __future__ import annotations

import re

import msgspec

from lakeward.errors import LakewardError, Terminal, Transient

CREDENTIALS = frozenset({
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSecurity", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
EXPIRED = frozenset({
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed",
    "TokenRefreshRequired",
})  # fmt: skip
DENIED = frozenset({
    "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem", "Forbidden",
    "KMS.AccessDeniedException", "NotSignedUp", "OptInRequired", "UnauthorizedAccess",
})  # fmt: skip
ELSEWHERE = frozenset({
    "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect",
    "TemporaryRedirect", "Redirect",
})  # fmt: skip
PASSING = frozenset({
    "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError",
    "InternalFailure", "InternalServerError", "LimitExceededException", "OperationAborted",
    "PriorRequestNotComplete", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestTimeout", "RequestTimeoutException", "ResourceInUseException", "ServiceUnavailable",
    "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
    "TooManyRequestsException", "TransactionInProgressException",
})  # fmt: skip
CODE = re.compile(r"<Code>([A-Za-z.]{1,80})</Code>")
STATUS = re.compile(r"status code: (\d{3})")


class Place(msgspec.Struct, frozen=True):
    """What was asked: how to name it, and the setting that chose it."""

    name: str
    setting: str


class Invalid(Terminal):
    """AWS will not take this content: one item of a batch, not the whole place, is at fault."""


class Missing(Terminal):
    """There is no such bucket or table."""


def judge(code: str, status: int, place: Place) -> LakewardError:
    """The error of our tree for a code and status of AWS."""
    where = place.name
    if code in CREDENTIALS:
        return Terminal(
            f"AWS does not accept the credentials for {where}: check AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or the machine's role, and its clock"
        )
    if code in EXPIRED:
        return Transient(f"the credentials for {where} have expired, or this machine's clock is "
                         "wrong: renew them")  # fmt: skip
    if code in DENIED:
        return Terminal(f"AWS denies access to {where}: allow the actions that docs/aws.md lists")
    if code in {"NoSuchBucket", "ResourceNotFoundException", "TableNotFoundException"}:
        return Missing(f"there is no {where}: create it, or mend {place.setting} or AWS_REGION")
    if code in ELSEWHERE or status == 301:
        return Terminal(f"{where} is in another region: mend AWS_REGION")
    if code == "InvalidObjectState":
        return Terminal(f"{where} has objects in an archive class: restore them, then try again")
    if code in PASSING or status >= 500 or status == 429:
        return Transient(f"{where} does not answer now ({code or status})")
    if code.startswith("KMS."):
        return Terminal(f"the key of {where} cannot be used ({code}): mend LAKEWARD_S3_KMS_KEY")
    if code == "ValidationException":
        return Invalid(f"{where} does not take what was sent (ValidationException)")
    if not code and status in {401, 403}:
        return judge("AccessDenied", status, place)
    if code or status:
        return Terminal(f"{where} refused the request ({code or status}): see docs/aws.md")
    return Transient(f"{where} cannot be reached: check the network and LAKEWARD_AWS_ENDPOINT")


def of_obstore(error: Exception, place: Place) -> LakewardError:
    """The same for an exception of obstore, whose text holds AWS's answer."""
    text = str(error)
    code, status = CODE.search(text), STATUS.search(text)
    return judge(code[1] if code else "", int(status[1]) if status else 0, place)


def of_boto(error: Exception, place: Place) -> LakewardError:
    """The same for an exception of botocore."""
    kind = type(error).__name__
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        code = str(answer.get("Error", {}).get("Code", ""))
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return judge("" if code.isdigit() else code, status, place)
    if kind in {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
        return no_credentials()
    if kind in {"CredentialRetrievalError", "SSOTokenLoadError", "TokenRetrievalError",
                "UnauthorizedSSOTokenError"}:  # fmt: skip
        return judge("ExpiredToken", 0, place)
    if kind in {"ParamValidationError", "InvalidRegionError", "EndpointProviderError"}:
        return Terminal(f"{place.name} is no name that AWS takes: mend {place.setting}")
    return judge("", 0, place)


def no_credentials() -> Terminal:
    """No credentials anywhere in the chain."""
    return Terminal(
        "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give "
        "the machine a role"
    )

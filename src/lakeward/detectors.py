"""What is a secret: names of fields, forms of values, and opaque tokens in paths.

In: one string (a key, a text, a path segment). Out: a verdict on a name, or the string with every
secret replaced by `[REDACTED]`. All functions are pure, total and linear in their input: every
quantifier that can start over is bounded, so a hostile megabyte costs no more than a kind one.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import pairwise
from typing import TypeAlias
from unicodedata import normalize
from urllib.parse import unquote

REDACTED = "[REDACTED]"


class Verdict(IntEnum):
    """What the name of a field says about its value."""

    PLAIN = 0
    SECRET = 1  # numbers and nested data go too
    CODE = 2  # secret only where something beside or above it speaks of verification
    MAYBE = 3  # about a secret (`token_type`, `has_password`): only an opaque text goes
    VERIFY = 4  # like MAYBE, and a `code` inside is secret


Judge: TypeAlias = Callable[[str], Verdict]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W0-9A-Z_a-z]+")


def words(name: str) -> list[str]:
    """`name` as lower-case words: `X-Api-Key`, `xApiKey` and `x_api_key` are the same."""
    if not name.isascii():
        name = normalize("NFKC", name)
    return [word.lower() for word in _WORD.findall(name)]


def folded(name: str) -> str:
    """`name` without case and separators, the form in which names are compared."""
    return "".join(words(name))


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET_PARTS = re.compile(
    "password|passwd|passphrase|passcode|apikey|accesskey|secretkey|privatekey|sshkey|signingkey"
    "|encryptionkey|masterkey|creditcard|cardnumber|ccnumber|ccnum|socialsecurity|credential|csrf"
    "|xsrf|onetimecode|verificationcode|smscode|accountnumber|routingnumber|bankaccount|seedphrase"
    "|recoverycode|backupcode|passwort|kennwort|motdepasse|contrase[nñ]a|wachtwoord|codeverifier"
    "|passportnumber|[a-z](?<!be)token$|secret$|pwd$|^[a-z]*2fa[a-z]*$|^[a-z]*cvv[a-z]*$"
)
_SECRET_WORDS = _names(
    "pwd secret secrets token bearer authorization cookie cookies jwt jws otp totp hotp"
    " mfa ssn cvc iban hmac mnemonic senha пароль 密码 パスワード"
)
_SECRET_LAST = frozenset({"auth", "pin", "signature", "sig", "salt"})
_SECRET_NAMES = _names(
    "pass passw pw userpass dbpass smtppass ftppass cardno cardnum cardpan phpsessid jsessionid"
    " sessid connectsid pincode xauth taxid nationalid sortcode proxyauthorization"
)
_KEYS_OF = _names(
    "api secret private encryption signing master access auth ssh session account storage sas"
    " license deploy subscription write hmac recovery backup wallet functions admin"
)
_TOKENS_OF = _names(
    "access refresh api auth device session csrf reset bearer personal push oauth security"
)
_ABOUT = _names(
    "count counts length len type kind at on date expires expiry expiration in ttl age status"
    " enabled disabled required present valid verified changed updated created used policy strength"
    " score rate method provider limit usage cost price budget size total consent preferences"
    " banner version attempts failures url uri page error errors label placeholder field details"
    " name format"
)
_ASKING = _names("has is num n max min total count requires needs show remember")
_VERIFYING = _names(
    "verification verify verifier confirm confirmation sms otp mfa fa factor auth authentication"
    " authorization authenticator security login signin access reset recovery backup activation"
    " invite invitation device magic email totp secret pin unlock temporary"
)
_PHONE_NAMES = _names("phone telephone mobile msisdn fax cellphone mobilephone phonenumber")
_VERIFY_PARENTS = _names(
    "verification verify confirm confirmation reset recovery activation invitation invite magic"
    " challenge factor authenticator"
)
CODE_SIBLINGS = _names(
    "phone phonenumber mobile email redirecturi clientid granttype verificationid challengeid"
    " newpassword"
)
"""Folded names that make a plain `code` beside them a secret."""


def judge(name: str) -> Verdict:
    """What the name alone says, before any host's additions."""
    parts = words(name[:256])
    joined = "".join(parts)
    parts = [part for part in parts if not part.isdecimal()]
    if not parts:
        return Verdict.PLAIN
    last = parts[-1]
    if _names_a_secret(parts, joined) and not _by_chance(name, joined):
        about = len(parts) > 1 and (last in _ABOUT or parts[0] in _ASKING)
        return Verdict.MAYBE if about else Verdict.SECRET
    if last in ("code", "codes"):
        if len(parts) == 1:
            return Verdict.CODE
        return Verdict.PLAIN if _VERIFYING.isdisjoint(parts) else Verdict.SECRET
    if last == "tokens" or joined in ("key", "nonce", "ticket"):
        return Verdict.MAYBE
    return Verdict.PLAIN if _VERIFY_PARENTS.isdisjoint(parts) else Verdict.VERIFY


def names_phone(name: str) -> bool:
    """Whether a field of this name holds a telephone number."""
    parts = words(name[:256])
    if len(parts) > 1 and parts[-1] in ("number", "no"):
        parts.pop()
    return bool(parts) and parts[-1] in _PHONE_NAMES


def _names_a_secret(parts: list[str], joined: str) -> bool:
    last = parts[-1]
    before = parts[-2] if len(parts) > 1 else ""
    return (
        joined in _SECRET_NAMES
        or last in _SECRET_LAST
        or not _SECRET_WORDS.isdisjoint(parts)
        or (last in ("key", "keys") and before in _KEYS_OF)
        or (last == "tokens" and before in _TOKENS_OF)
        or _SECRET_PARTS.search(joined) is not None
    )


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID = re.compile(r"(?<![0-9A-Za-z])0[0-7][0-9A-HJKMNP-TV-Z]{24}(?![0-9A-Za-z])")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_HASH_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]+")
_CHUNK = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_COMMON_PAIRS = _names(
    "th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se"
    " le sa si ar ve ra ld ur ro ic ne me li ll ri io ce ta ma co el om la ns us ch ec ge il no pe"
    " un ca ho ni ac ot em ut di ly tr ss so pr ee ol wi be ai po ie im mo ad su pa da am ul ke ts"
    " id op do fi lo mi ag ov av sh rt ct ck ow ab ap ay bo br cl cu ep ev ex fo gr ir iv ki ry ty"
    " um uc up ue ui vi wo go fr my ey ys od pl gl"
)


def _by_chance(name: str, joined: str) -> bool:
    """Whether a random id, used as a name, only happens to have a short sensitive word in it."""
    if _SECRET_PARTS.search(joined):
        return False
    return _UUID.search(name) is not None or opaque(name)


def _unreadable(part: str) -> bool:
    """Whether letters and digits follow each other as no language and no camelCase would."""
    if part.isdecimal() or len(part) < 3:
        return False
    if _HEX.fullmatch(part):  # not content hashes and short ids
        return len(part) > 24 and len(part) not in _HASH_LENGTHS
    low = part.lower()
    pairs = [a + b for a, b in pairwise(low) if (a + b).isalpha()]
    known = len(_COMMON_PAIRS.intersection(pairs)) / (len(set(pairs)) or 1)
    run = len(part) / len(_CHUNK.findall(part))  # letters of one case, or digits, in a row
    return run < 2.3 or (known < 0.4 and len(pairs) >= 6) or (known < 0.55 and run < 3.2)


def opaque(text: str) -> bool:
    """Whether `text` holds 16 or more characters of random token (not a UUID, slug, hash, date)."""
    if len(text) < 16:
        return False
    rest = _ULID.sub("", _UUID.sub("", text[:4096]))
    return sum(len(part) for part in _NOT_ALNUM.split(rest) if _unreadable(part)) >= 16


_LINK_WORDS = _names(
    "reset resetpassword passwordreset setpassword invite invites invitation invitations confirm"
    " confirmation verify verification activate activation unsubscribe magic magiclink recover"
    " recovery optout optin"
)
_DOOR_WORDS = _names(
    "token tokens share shared auth password passwords join unlock login signin sso otp mfa 2fa"
)
_PLAIN_WORDS = re.compile(
    r"(?:[A-Za-z]?[a-z]{1,20}(?:[A-Z][a-z]{2,15}){0,4}|oauth2|saml2|v[0-9]{1,2}|[0-9]{1,2})"
    r"(?:[-_. ](?:[A-Za-z]?[a-z]{1,20}|oauth2|saml2|v?[0-9]{1,2})){0,8}"
)
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz]{5}|[b-df-hj-np-tv-xz]{6}", re.IGNORECASE)
_SLOT = re.compile(r"\{[a-z_]{1,32}\}|<(?:[a-z]+:)?[a-z_]{1,32}>|:[a-z_]{1,32}")


def leads_to_token(segment: str) -> int:
    """2 when a reset or invitation token may come anywhere behind, 1 directly behind, else 0."""
    segment = segment[:96]
    parts = words(unquote(segment) if "%" in segment else segment)
    names = {*parts, "".join(parts)}
    if not _LINK_WORDS.isdisjoint(names):
        return 2
    return 0 if _DOOR_WORDS.isdisjoint(names) else 1


def _plain_words(segment: str) -> bool:
    if not _PLAIN_WORDS.fullmatch(segment) or _CONSONANTS.search(segment):
        return False
    return not any(len(part) >= 10 and _unreadable(part) for part in _NOT_ALNUM.split(segment))


def code_like(text: str) -> bool:
    """Whether a field named `code` holds one that could be typed in or exchanged."""
    return len(text) >= 4 and not _plain_words(text)


def _mixed(segment: str) -> bool:
    """Whether a part of six or more characters mixes letters and digits."""
    return any(
        len(part) >= 6 and not part.isalpha() and not part.isdecimal()
        for part in _NOT_ALNUM.split(_UUID.sub("", segment))
    )


def hidden_segment(segment: str, *, behind: bool, after: bool) -> bool:
    """Whether a decoded path segment is a token.

    `behind`: it directly follows a word like `reset`; `after`: such a word came earlier.
    """
    if _SLOT.fullmatch(segment):
        return False
    if behind and len(segment) >= 6 and not _plain_words(segment):
        return True
    return (after and _mixed(segment)) or opaque(segment)


def path_tokens(
    path: str, hidden: Callable[[str, bool, bool], bool], leads: Callable[[str], int]
) -> str:
    """`path` with each segment replaced for which `hidden(segment, behind, after)` holds.

    `leads` is `leads_to_token`, remembered by the caller.
    """
    segments = path.split("/")
    behind = after = 0
    for index, segment in enumerate(segments):
        if not segment or (segment.isdecimal() and len(segment) < (6 if behind else 13)):
            continue
        if not behind and _UUID.fullmatch(segment):
            continue
        simple = segment.isascii() and segment.isalpha() and segment.islower() and len(segment) < 16
        if not (simple and not behind) and hidden(segment, behind > 0, after > 0):
            segments[index] = REDACTED
        else:
            lead = leads(segment)
            after = max(after, lead - 1)
            # `reset/{uid}/{token}`: a short id does not end the suspicion, a word does
            behind = lead or (behind if len(segment) < 6 and not segment.islower() else 0)
    return "/".join(segments)


Hint: TypeAlias = Callable[[str], object]

_MARKS = ("=", "\\", '["', "%", "<", "eyJ", "ya29.")
_COLON = re.compile(r":(?:(?!//)(?:(?![0-9])|(?<![0-9]:))|[\w-]{32})").search  # not of times, URLs
_SPACE_FOLDED = re.compile(
    r" (?:(?<=earer )|(?<=asic )|(?<=code )|(?<=otp )|(?<=is your ))", re.IGNORECASE
).search


def _SPACE(text: str) -> object:  # noqa: N802 - beside the other searches
    """As `_SPACE_FOLDED` finds it, in a fifth of its time: each of its words by itself."""
    if text.isascii():
        low = text.lower()
    elif "\u0130" in text or "\u0131" in text or "\u017f" in text:  # i, i and s, case ignored
        return _SPACE_FOLDED(text)
    else:
        low = text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
    return "earer " in low or "asic " in low or "code " in low or "otp " in low or "is your " in low


_LINK = re.compile(  # any URL but one of a few short segments, none of them a word before tokens
    r"://(?![\w.-]{1,80}(?::[0-9]{1,5})?"
    rf"(?:/(?!(?:{'|'.join(sorted(_LINK_WORDS | _DOOR_WORDS))})(?![a-z]))[a-z]{{1,12}}){{0,8}}"
    r"(?:/[a-z0-9_]{0,12}(?:\.[a-z0-9]{2,5})?)?(?:\s|$))"
).search
_XOX = re.compile(r"xox[a-z]-").search


def _dashed(text: str) -> object:
    return (
        "--" in text or "sk-" in text or "lpat-" in text or "xapp-" in text or "pypi-" in text
        or "CSPX-" in text or "KEY-" in text or ("xox" in text and _XOX(text))
    )  # fmt: skip


_KEY_HINTS: tuple[tuple[str, Hint], ...] = (
    ("-", _dashed),
    ("_", re.compile(r"_[A-Za-z0-9]{8}").search),
    ("A", re.compile(r"A(?:KIA|SIA|Iza|C[0-9a-f]{32}:)").search),
    ("S", re.compile(r"S(?:G\.|K[0-9a-f]{32})").search),
)
_KEY_COLON = re.compile(r":[\w-]{32}").search
_DIGIT_TABLE = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x2E for byte in range(256))
_BETWEEN_DIGITS = b" -" + "\u00a0\u2010\u2011\u2012\u2013\u2014\u2015".encode()


def _many_digits(text: str) -> bool:
    raw = text.encode("utf-8", "surrogatepass").translate(_DIGIT_TABLE, _BETWEEN_DIGITS)
    return b"0000000000000" in raw


_HINTS: tuple[tuple[str, Hint], ...] = (
    (":", _COLON),
    ("://", _LINK),
    (" ", _SPACE),
    *_KEY_HINTS,
    ("", _many_digits),
)


def clear(blob: str, more: tuple[Hint, ...] = ()) -> bool:
    """Whether `suspects` finds none of the texts that are joined here, each on a line of its own;
    may say no for one that has line breaks."""
    if (
        "=" in blob or "\\" in blob or '["' in blob or "%" in blob or "<" in blob
        or "eyJ" in blob or "ya29." in blob or "\n/" in blob or blob.startswith("/")
    ):  # fmt: skip
        return False
    if (":" in blob and (_COLON(blob) or ("://" in blob and _LINK(blob)))) or _many_digits(blob):
        return False
    if " " in blob and _SPACE(blob):
        return False
    for rare, hint in _KEY_HINTS:
        if rare in blob and hint(blob):
            return False
    return not any(hint(blob) for hint in more) if more else True


def suspects(texts: list[str], more: tuple[Hint, ...] = ()) -> set[str]:
    """Those of `texts` that may hold a secret: the cheap test before all others.

    It looks for literal marks, then for rare characters with their company, in all texts joined;
    only when it finds any are the texts told apart.
    """
    blob = "\n" + "\n".join(texts)
    found: set[str] = set()
    if "\n/" in blob:
        found.update(text for text in texts if text.startswith("/"))
    for mark in _MARKS:
        if mark in blob:
            found.update([text for text in texts if mark in text])
    for rare, hint in _HINTS:
        if rare in blob and hint(blob):
            found.update(filter(hint, texts))
    for hint in more:
        if hint(blob):
            found.update(filter(hint, texts))
    return found


_DELIMITER = re.compile(r"(?:=|:(?!//))[=:]{0,2}>?[ \t]{0,4}")
_KEY_BEHIND = re.compile(r"[ \t]{0,4}([\"'`]?\\{0,8})([\w.$\[\]-]{1,64})")  # read backwards
_FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w-]{1,63})[ \t]{1,4}(?=[^\s-])")
_ELEMENT = re.compile(r"<([\w:.-]{2,64})(?:\s[^<>]{0,200})?>\s{0,8}(?:<!\[CDATA\[)?(?=[^<\s])")
_OPENING = re.compile(r"[bru]{0,2}(\\{0,8})([\"'`])")
_CLOSING = {mark: re.compile(rf"(?:[^{mark}\\]|\\.)*+", re.DOTALL) for mark in "\"'`"}
_BARE = re.compile(  # to the next blank, `&` or quote, or to what looks like the next name
    r"(?:(?:bearer|basic|token|digest)[ \t]+)?"
    r"(?:[^\s&\"'<>,;]|[,;](?![\w.$-]{1,64}[=:]))+",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"…\[truncated|(?:null|none|nil|true|false|undefined|\[REDACTED\])(?![^\s,;&)}\]\"'<>\\…])",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[\[\]{}]")
_LINE_NAMES = _names(
    "authorization proxyauthorization cookie cookies setcookie passphrase mnemonic seedphrase"
    " credentials"
)
_SPEAKS_OF_CODE = re.compile(
    r"(?:verification|verify|security|log-?in|sign-?in|authentication|confirmation|one[- ]time"
    r"|access|reset|recovery|backup|activation|otp|sms|2fa|mfa|auth)[ -]$",
    re.IGNORECASE,
)
_Start: TypeAlias = tuple[int, str, str]  # where the value begins, its name, what led to the name


def assignments(text: str, judge: Judge) -> str:
    """`text` with the values of sensitive names replaced: `k=v`, `"k": "v"`, `--k v`, `<k>v</k>`.

    Also in cut or escaped JSON and in other languages' literals; the surroundings stay.
    """
    out: list[str] = []
    done = 0
    for start, key, before in sorted(_starts(text)):
        if start < done or not _assigns_secret(key, before, judge):
            continue
        start, end = _value_span(text, start, key, before)
        if end > start:
            out += (text[done:start], REDACTED)
            done = end
    return "".join(out) + text[done:] if out else text


def _starts(text: str) -> Iterator[_Start]:
    for delimiter in _DELIMITER.finditer(text):
        at = delimiter.start()
        head = text[max(0, at - 104) : at][::-1]
        if key := _KEY_BEHIND.match(head):
            before = head[key.end() :][::-1]
            yield delimiter.end(), key[2][::-1], before[:-1] if key[1] else before
    if "--" in text:
        yield from ((flag.end(), flag[1], "") for flag in _FLAG.finditer(text))
    if "</" in text:
        yield from ((tag.end(), tag[1], "<") for tag in _ELEMENT.finditer(text))


def _assigns_secret(key: str, before: str, judge: Judge) -> bool:
    verdict = judge(key)
    if verdict is Verdict.CODE:
        return _SPEAKS_OF_CODE.search(before[-24:]) is not None
    return verdict is Verdict.SECRET


def _value_span(text: str, start: int, key: str, before: str) -> tuple[int, int]:
    if before == "<":
        return start, _before(text, start, "<")
    if opening := _OPENING.match(text, start):
        start, end = opening.end(), _closing(text, opening)
        return start, start if text[start:end] == REDACTED else end
    if _NOTHING.match(text, start):
        return start, start
    bracketed = text[start : start + 1] in ("[", "{")
    if folded(key) in _LINE_NAMES and not bracketed:
        quote = before[-1:] if before[-1:] in _CLOSING else "\n"
        return start, _before(text, start, quote, "\n")
    end = _after_brackets(text, start) if bracketed else start
    if (bare := _BARE.match(text, end)) and (end == start or bare[0][0].isalnum()):
        end += len(bare[0].rstrip(",;)}]."))
    return start, end


def _before(text: str, start: int, *ends: str) -> int:
    return min((at for end in ends if (at := text.find(end, start)) >= 0), default=len(text))


def _closing(text: str, opening: re.Match[str]) -> int:
    slashes, quote = opening.groups()
    if not slashes:
        closed = _CLOSING[quote].match(text, opening.end())
        return closed.end() if closed else len(text)
    at = text.find(slashes + quote, opening.end())
    while at > 0 and text[at - 1] == "\\":
        at = text.find(slashes + quote, at + 1)
    return at if at >= 0 else len(text)


def _after_brackets(text: str, start: int) -> int:
    depth = 0
    for bracket in _BRACKETS.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


_PEM = re.compile(
    r"-{4,5} ?BEGIN[A-Z0-9 +]{1,40}PRIVATE[ +]KEY(?:[ +]BLOCK)? ?-{4,5}.*?"
    r"(?:-{4,5} ?END[A-Z0-9 +]{1,40}PRIVATE[ +]KEY(?:[ +]BLOCK)? ?-{4,5}|\Z)",
    re.DOTALL,
)
_KEYS = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|(?<![A-Za-z0-9])sk-(?=[a-z_-]{0,40}[A-Z0-9])[\w-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{8,}"
    r"|xapp-[\w-]{16,}|[sr]k_(?:live|test)_\w{8,}|whsec_[\w+/=]{16,}|AIza[\w-]{30,}"
    r"|ya29\.[\w-]{10,}|GOCSPX-[\w-]{16,}|SG\.[\w-]{10,}\.[\w-]{10,}|SK[0-9a-f]{32}"
    r"|AC[0-9a-f]{32}:[0-9a-f]{32}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}"
    r"|dop_v1_[a-f0-9]{32,}|shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}|AGE-SECRET-KEY-1\w{20,}"
    r"|lwk_[rw]_[A-Za-z0-9]{16,}|[0-9]{8,10}:[\w-]{35}",
    re.ASCII,
)
_JWT = re.compile(r"eyJ[\w-]*+(?:\.[\w-]*+){0,4}", re.ASCII)
_SCHEME = re.compile(r"\b(bearer|basic)( [ \t]*)([\w.~+/=-]{6,})", re.IGNORECASE | re.ASCII)
_CODE_SENT = re.compile(
    r"\b(?:(?:verification|security|log-?in|sign-?in|authentication|confirmation|one[- ]time"
    r"|access|2fa|mfa|auth)[ -]?(?:pass)?code|otp|passcode)\b"
    r"[^0-9\n]{0,30}?([0-9][0-9 -]{2,8}[0-9])\b",
    re.IGNORECASE,
)
_CODE_FIRST = re.compile(
    r"\b([0-9]{3}[- ]?[0-9]{3,5}|[0-9]{4,8})(?= is your\b[^\n]{0,40}(?:code|otp|pin)\b)",
    re.IGNORECASE,
)
EMAILS = re.compile(r"[^\s@<>\"'(),:;=/?&]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
PHONES = re.compile(
    r"(?<![\w+.-])(?:\+[0-9](?:[ ().-]{0,2}[0-9]){6,14}"
    r"|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4})(?![\w-])"
)

_BETWEEN_PHONE_DIGITS = b" ().-"


def mail_in(text: str) -> object:
    """Whether `text` has an e-mail address; cheap where it has no `@`."""
    return "@" in text and EMAILS.search(text)


def phone_in(text: str) -> object:
    """Whether `text` has a telephone number; cheap where no seven digits follow each other."""
    raw = text.encode("utf-8", "surrogatepass").translate(_DIGIT_TABLE, _BETWEEN_PHONE_DIGITS)
    return b"0000000" in raw and PHONES.search(text)


def redact(text: str, judge: Judge) -> str:
    """`text` without keys, tokens, cards, one-time codes and values of sensitive names."""
    if "PRIVATE" in text:
        text = _PEM.sub(REDACTED, text)
    if "=" in text or "<" in text or "--" in text or _COLON(text):
        text = assignments(text, judge)
    if (
        "ya29." in text
        or _KEY_COLON(text)
        or any(rare in text and hint(text) for rare, hint in _KEY_HINTS)
    ):
        text = _KEYS.sub(REDACTED, text)
    if "eyJ" in text:
        text = _JWT.sub(_jwt, text)
    if " " in text and _SPACE(text):
        text = _SCHEME.sub(_scheme, text)
        text = _CODE_SENT.sub(_code, _CODE_FIRST.sub(REDACTED, text))
    return _DIGITS.sub(_cards, text) if _many_digits(text) else text


def _jwt(found: re.Match[str]) -> str:
    parts = [part for part in found[0].split(".") if part]
    return REDACTED if len(parts) > 1 or len(found[0]) > 512 else found[0]


def _scheme(found: re.Match[str]) -> str:
    scheme, space, token = found.groups()
    if scheme.lower() == "bearer":
        secret = not token.isalpha() or not token.islower() or len(token) >= 16
    else:
        try:
            secret = b":" in b64decode(token + "=" * (-len(token) % 4))
        except (Base64Error, ValueError):
            secret = False
    return f"{scheme}{space}{REDACTED}" if secret else found[0]


def _code(found: re.Match[str]) -> str:
    return found[0][: found.start(1) - found.start()] + REDACTED


_DIGITS = re.compile(
    r"(?<![0-9])(?<![0-9]\.)[0-9](?:[ \-\u00a0\u2010-\u2015]?[0-9]){12,}+", re.ASCII
)
_GROUP = re.compile(r"[0-9]+")
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|3[47][0-9]{13}|5[06-8][0-9]{11,17}"
    r"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|220[0-4][0-9]{12,15}"
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11,16}|35(?:2[89]|[3-8][0-9])[0-9]{12,15}|6[0-9]{12,18}"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")


def card(digits: str) -> bool:
    """Whether `digits` begin as a known issuer's cards do, have their length and pass Luhn."""
    if not _ISSUERS.fullmatch(digits):
        return False
    return sum(map(int, digits[::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def _cards(found: re.Match[str]) -> str:
    """A run of digit groups with the cards in it replaced; groups around a card stay."""
    run = found[0]
    groups = list(_GROUP.finditer(run))
    if card("".join(group[0] for group in groups)):
        return REDACTED
    out: list[str] = []
    done = 0
    for first, group in enumerate(groups):
        if group.start() < done or group[0][0] not in "23456":
            continue
        if end := _card_end(groups[first : first + 7]):
            out += (run[done : group.start()], REDACTED)
            done = end
    return "".join(out) + run[done:]


def _card_end(groups: list[re.Match[str]]) -> int:
    digits = ""
    for group in groups:
        digits += group[0]
        if len(group[0]) < 3 or len(digits) > 19:
            return 0
        if len(digits) >= 13 and card(digits):
            return group.end()
    return 0

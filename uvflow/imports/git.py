"""A git repository → its entry in `[tool.uv.sources]`, with the login kept out of it."""

import re
from dataclasses import replace

from uvflow.imports.credentials import Userinfo, split_userinfo
from uvflow.imports.model import Bucket, Options
from uvflow.imports.requirements import Line
from uvflow.imports.said import Reading, action, left, note
from uvflow.imports.target import Target, requirement_at

# What uv takes behind `git+`, and where the old `git://` is now.
_GIT_SCHEMES = ("https://", "http://", "ssh://", "file:")
_PUBLIC_HOSTS = r"(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)"


def read(target: Target, options: Options) -> Reading:
    """What a line that names a git repository says; `options` has where `${VAR}` is looked up."""
    url, userinfo = split_userinfo(_git_url(target.place))
    url = re.sub(r"^(ssh://[^/:]+):(?!\d+(?:/|$))", r"\1/", url)  # ssh://git@host:org/repo
    if userinfo and url.lower().startswith("ssh:"):
        url = url.replace("://", f"://{userinfo.username}@", 1)  # who, which is no secret
        userinfo = userinfo if userinfo.password else None
    url, revision = _split_revision(_securely(url))
    if not url.startswith(_GIT_SCHEMES):
        scheme, _, rest = url.partition("://")
        message = f"uv takes no git repository by {scheme}://"
        hint = f"`git+https://{rest}{revision and f'@{revision}'}`, if that answers"
        return left(target.line, "git-scheme", message, hint)
    subdirectory = target.said.get("subdirectory", "")
    source = {"git": url, "rev": revision, "subdirectory": subdirectory}
    text = f"git+{url}{revision and f'@{revision}'}"
    text += subdirectory and f"#subdirectory={subdirectory}"
    source = {key: value for key, value in source.items() if value}
    reading = Reading(requirement=requirement_at(target, text, target.name, source))
    if target.line.is_editable:
        message = "uv has no editable git sources: it becomes a plain one"
        reading = replace(reading, findings=(note(target.line, "not-editable", message),))
    return _logging_in(reading, target.line, url, userinfo, options) if userinfo else reading


def _logging_in(
    reading: Reading, line: Line, url: str, userinfo: Userinfo, options: Options
) -> Reading:
    """`reading`, with what was taken out of the URL for git to log in with during this run."""
    is_at_hand = userinfo.is_at_hand(options.environ) and not url.lower().startswith("ssh:")
    message = userinfo.told_of(url, line.origin.path, is_at_hand=is_at_hand)
    hint = "let git know them: `git config credential.helper`, or `gh auth setup-git`"
    return replace(
        reading,
        findings=(action(line, "git-credentials", message, hint), *reading.findings),
        bucket=Bucket.ACTION,
        git_login=(url, userinfo) if is_at_hand else None,
    )


def _git_url(place: str) -> str:
    """git's own URL: without `git+`, and the scp form `git@host:path` as `ssh://git@host/path`."""
    url = re.sub(r"^git\+", "", place, flags=re.IGNORECASE)
    if "://" in url or url.lower().startswith("file:"):
        return url
    return "ssh://" + url.replace(":", "/", 1)


def _securely(url: str) -> str:
    """The public hosts have the same repositories by https, and those alone."""
    return re.sub(rf"^(?:git|http)://(?={_PUBLIC_HOSTS}/)", "https://", url, flags=re.IGNORECASE)


def _split_revision(url: str) -> tuple[str, str]:
    """`…/repo.git@rev`; uv finds out whether `rev` is a branch, a tag or a commit."""
    before, separator, after = url.partition("://")
    host, slash, path = after.partition("/")
    path, _, revision = path.rpartition("@") if "@" in path else (path, "", "")
    return f"{before}{separator}{host}{slash}{path}", revision

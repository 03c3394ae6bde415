"""A user name and a password are told to nobody but the server: not in errors, logs, warnings, nor by `repr`.

Not in our hands: `repr(community.database)` is pymongo's, and shows `tlsCertificateKeyFilePassword` and
`proxyPassword`; and whoever collects errors with the local variables of every frame sees the URI.
"""

import logging
import traceback
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from datalayer import Community, DataLayerError, Stories
from datalayer.cli import cli
from datalayer.database import open_client
from datalayer.engine.settings import Settings
from datalayer.engine.translation import without_credentials
from datalayer.errors import InvalidInputError, UnavailableError
from seed.__main__ import command as seed

SECRET = "s3cretQ"  # noqa: S105 - it is what is looked for
_WORD = f"w/{SECRET}:@?#%&=,[ ]é"
_QUOTED = quote(_WORD, safe="")
_QUICK = "serverSelectionTimeoutMS=50"
_LOOPBACK = f"127.0.0.1:9/?{_QUICK}"


def chain(error: BaseException) -> list[BaseException]:
    """The error with all that it refers to, also what a traceback leaves out."""
    found = [error]
    for one in found:
        found += [other for other in (one.__cause__, one.__context__) if other is not None and other not in found]
    return found


def told(error: BaseException) -> str:
    """Everything that can be read of an error."""
    parts = ["".join(traceback.format_exception(error))]
    for one in chain(error):
        parts += [
            str(one),
            repr(one),
            repr(one.args),
            repr(getattr(one, "hint", "")),
            repr(getattr(one, "details", "")),
        ]
        parts += getattr(one, "__notes__", [])
    return "\n".join(parts)


def holds_secret(text: str) -> bool:
    return SECRET.lower() in text.lower() or _QUOTED.lower() in text.lower()


@contextmanager
def silent() -> Iterator[None]:
    """No secret is logged inside, on any level, nor in a warning."""
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root, handler = logging.getLogger(), Handler()
    loggers = [root, *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for logger in loggers:
                logger.setLevel(logging.DEBUG)
            yield
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert not any(holds_secret(f"{record.getMessage()}{record.exc_info}") for record in records)
    assert not any(holds_secret(str(warning.message)) for warning in said)


async def failure(uri: str, kind: type[DataLayerError] = DataLayerError) -> DataLayerError:
    """The error of connecting; it tells nothing."""
    with silent(), pytest.raises(kind) as raised:
        async with Community.connect(uri):
            pytest.fail("it was opened")
    assert not holds_secret(told(raised.value)), told(raised.value)
    return raised.value


@pytest.fixture
async def account(server_uri: str) -> AsyncIterator[str]:
    """The start of the URI of a user who exists on the server."""
    async with AsyncMongoClient(server_uri) as client:
        await client.admin.command("createUser", f"user{SECRET}", pwd=_WORD, roles=["root"])
        yield server_uri.replace("mongodb://", f"mongodb://user{SECRET}:{_QUOTED}@").replace(
            "/?", "/credentials?authSource=admin&"
        )
        await client.admin.command("dropUser", f"user{SECRET}")


async def test_a_user_who_is_let_in_is_told_to_nobody(account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", account)
    with silent():
        async with Community.connect() as community, Stories.connect() as stories:
            await community.users.create(name="Ada")
            shown = [community, stories, Settings(), *vars(community).values(), *vars(stories).values()]
            with pytest.raises(DataLayerError) as raised:
                await community.users.create(name="\0")
            await community.database.client.drop_database(community.database)
    assert not any(holds_secret(f"{one!r}{one!s}") for one in shown if one is not community.database)
    assert not holds_secret(told(raised.value))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN", "MONGODB-X509"])
async def test_a_user_who_is_not_let_in_is_told_to_nobody(server_uri: str, mechanism: str) -> None:
    """The server refuses the password, or the mechanism."""
    password = "" if mechanism == "MONGODB-X509" else f":{_QUOTED}"
    uri = server_uri.replace("mongodb://", f"mongodb://user{SECRET}{password}@") + f"&authMechanism={mechanism}"
    await failure(uri)


@pytest.mark.parametrize(
    "options",
    [
        "",
        f"&authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}",
        f"&authMechanism=GSSAPI&authMechanismProperties=SERVICE_NAME:{SECRET}",
        f"&tls=true&tlsCertificateKeyFilePassword={SECRET}",
        f"&tls=true&tlsCertificateKeyFile=/{SECRET}&tlsCertificateKeyFilePassword={SECRET}",
        f"&proxyHost=127.0.0.1&proxyPort=9&proxyUsername={SECRET}&proxyPassword={SECRET}",
        f"&authMechanismProperties={SECRET}",
        f"&password={SECRET}&readPreferenceTags={SECRET}&compressors={SECRET}&uuidRepresentation={SECRET}",
    ],
)
@pytest.mark.parametrize("start", ["mongodb://", "mongodb+srv://"])
async def test_a_server_that_nobody_reaches_is_an_error_without_credentials(start: str, options: str) -> None:
    host = _LOOPBACK if start == "mongodb://" else f"db.invalid/?{_QUICK}&connectTimeoutMS=50"
    await failure(f"{start}user{SECRET}:{_QUOTED}@{host}{options}", (UnavailableError, InvalidInputError))


_MECHANISMS = st.sampled_from(["", "authMechanism=PLAIN&", "authMechanism=MONGODB-AWS&", "authMechanism=MONGODB-X509&"])
_OPTIONS = st.sampled_from(
    [
        f"authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}",
        f"authMechanismProperties={SECRET}",
        f"tlsCertificateKeyFilePassword={SECRET}",
        f"proxyPassword={SECRET}",
        *(
            f"{name}={SECRET}"
            for name in ("tls", "w", "maxPoolSize", "readPreference", "compressors", "journal", "ssl")
        ),
    ]
)
_WORDS = st.text(st.sampled_from("aZ9:/@?#%&=,[]{}\\ \0é$.;\"'"), max_size=3).map(
    lambda text: f"{text}{SECRET}{text[::-1]}"
)


@st.composite
def uris(draw: st.DrawFn) -> str:
    """A URI with secrets at every place where there may be one, as they are or encoded; often with something wrong."""
    start = draw(st.sampled_from(["mongodb://", "mongodb+srv://"]))
    user, password = draw(_WORDS), draw(_WORDS)
    if draw(st.booleans()):
        user, password = quote(user, safe=""), quote(password, safe="")
    host = draw(st.sampled_from(["127.0.0.1:9", "a,b", "[::1]:9", "%2Ftmp%2Fx.sock", "db.invalid"]))
    path = draw(st.sampled_from(["", "/", "/db"]))
    uri = f"{start}{user}:{password}@{host}{path}?{draw(_MECHANISMS)}{draw(_OPTIONS)}"
    at = draw(st.integers(len(start), len(uri)))
    return (
        uri[:at]
        + draw(st.sampled_from(["", " ", "/", "@", ":", "?", "%", "[", "\0"]))
        + uri[at + draw(st.integers(0, 1)) :]
    )


@settings(max_examples=settings().max_examples * 3)
@given(uri=uris())
def test_a_broken_uri_is_told_to_nobody(uri: str) -> None:
    """The error keeps no reference to the driver's either."""
    with silent():
        error = refusal(uri)
    if error is not None:
        assert not holds_secret(told(error))
        assert chain(error) == [error]


def refusal(uri: str) -> InvalidInputError | None:
    """Why there is no client of the URI, if there is none."""
    try:
        open_client(uri)
    except InvalidInputError as error:
        return error
    return None


@given(user=_WORDS, password=_WORDS, options=_OPTIONS)
def test_uris_in_texts_lose_their_credentials(user: str, password: str, options: str) -> None:
    """Encoded or not; a blank is where a URI ends for anybody."""
    named = f"{user}:{password}".replace(" ", "")
    text = (
        f"cannot reach mongodb://{named}@127.0.0.1:9/db?{options}, or mongodb+srv://{named}@db.invalid?{options} at all"
    )
    assert without_credentials(text) == "cannot reach mongodb://127.0.0.1:9/db or mongodb+srv://db.invalid at all"


@pytest.mark.parametrize(
    "uri", [f"mongodb://user{SECRET}:{_QUOTED}@{_LOOPBACK}", f"mongodb://u:{_WORD}@h", f"u:{SECRET}@h"]
)
@pytest.mark.thorough
def test_the_commands_print_no_credentials(uri: str) -> None:
    runner = CliRunner()
    for command, arguments in (
        (cli, ["schema", "plan", "--uri", uri]),
        (cli, ["schema", "apply", "--json", "--uri", uri]),
        (cli, ["shell", "-c", "", "--uri", uri]),
        (cli, ["admin", "Ada", "--uri", uri]),
        (seed, ["small", "--uri", uri]),
    ):
        with silent():
            result = runner.invoke(command, arguments)
        assert result.exit_code != 0
        assert result.exception is not None
        assert not holds_secret(result.output + told(result.exception))

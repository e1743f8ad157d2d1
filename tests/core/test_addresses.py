from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pocketface.core.addresses import address_in, without_secrets
from pocketface.core.errors import PocketfaceError


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@host:8/a/b.tar", "https://***@host:8/a/b.tar"),
        ("https://secret@host/a", "https://***@host/a"),
        ("postgresql://host/runs?user=me&password=secret", "postgresql://host/runs?***"),
        ("postgresql://me:secret@host/runs?sslmode=a", "postgresql://***@host/runs?***"),
        ("http://host?secret", "http://host?***"),
        ("http://host/a#token=secret", "http://host/a#***"),
        ("http://host/a;token=secret: no", "http://host/a;***: no"),
        ("PLACE=me:se/cret@host:8/a, (me:secret@host)", "PLACE=***@host:8/a, (***@host)"),
        # of which nobody can tell what is host, what password and what query
        ("postgresql://host/runs?user=me@work&password=secret", "postgresql://***"),
        ("http://me:se?cret@host/a", "http://***"),
        ("http://me:se/cr#et@host/a", "http://***@host/a"),
        ("/api/2.0/runs?token=secret (Caused by ...)", "/api/2.0/runs?*** (Caused by ...)"),
        ("(https://a:secret@b/c?d=secret): no", "(https://***@b/c?***): no"),
        ("get `http://e:secret@f`, and http://g?h=secret.", "get `http://***@f`, and http://g?***."),
    ],
)
def test_user_password_and_query_are_hidden(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    assert str(PocketfaceError(address)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a/b.tar: HTTP 404 Not Found; is the address right?",
        "sqlite:////home/a b's & é @x/me@work/mlflow.db",
        "file:///home/me@work/mlartifacts, write to me@work",
        "`dvc repro -f fetch_weights@dlib_age`; models:/pocketface-age@champion?",
        "POCKETFACE_MIRROR=/no/such/mirror: no such folder",
        "git@github.com:owner/repository, C:\\Users\\me@work, file.py:12: me@work",
        "",
    ],
)
def test_the_rest_of_a_message_stays(text: str) -> None:
    assert without_secrets(text) == text


SECRET = st.text(min_size=4).map(lambda text: f"s3cr3t{text}s3cr3t")
"""Begins and ends with what is looked for."""


@given(
    SECRET, st.sampled_from(["http", "https", "postgresql+psycopg2"]), st.booleans(), st.booleans(), st.text()
)
def test_no_secret_is_shown_wherever_it_stands(
    secret: str, scheme: str, raw: bool, query: bool, around: str
) -> None:
    written = "".join(secret.split()) if raw else quote(secret, safe="")
    assume(not around.endswith(("sqlite", "file")))
    place = f"host/a?user=me&password={written}" if query else f"me:{written}@host/a"
    shown = without_secrets(f"{around} {scheme}://{place} {around}")
    assert "s3cr3t" not in shown.replace(without_secrets(around), "")
    assert without_secrets(shown) == shown


@given(st.text())
def test_showing_twice_changes_nothing_more(text: str) -> None:
    assert without_secrets(without_secrets(text)) == without_secrets(text)


def test_blanks_in_an_address_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, read in [
        (" http://me:se cret@host\n", "http://me:se%20cret@host"),
        ("sqlite:////my faces/x.db", "sqlite:////my faces/x.db"),
        ("/my faces", "/my faces"),
    ]:
        monkeypatch.setenv("PLACE", value)
        assert address_in("PLACE") == read
    assert address_in("NO_SUCH_PLACE") == ""

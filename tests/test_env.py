"""Settings from the environment and .env: forms, errors without values, and .env.example."""

import ast
import os
import re
import secrets
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moeen.db.errors import ConfigurationError
from moeen.env import Environment, parse_database_url
from sysadmin.checks import check_dotenv
from tests import servers

PRODUCTION = {
    "ALLOWED_HOSTS": "clinic.example",
    "CSRF_TRUSTED_ORIGINS": "https://clinic.example",
    "SECURE_HSTS_SECONDS": "31536000",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
    "SECURE_HSTS_PRELOAD": "true",
}


def reader(tmp_path, **variables):
    return Environment(tmp_path / ".env", variables=variables)


def parsed(url):
    entry = parse_database_url(url)
    return tuple(entry[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5433/d", ("u", "p", "h", "5433", "d", {})),
        ("postgres://u:p@h/d", ("u", "p", "h", "", "d", {})),
        ("postgres://h/d", ("", "", "h", "", "d", {})),
        ("postgres:///d", ("", "", "", "", "d", {})),
        ("postgres://u:p%40%3A%2F%23%25@h/d", ("u", "p@:/#%", "h", "", "d", {})),
        ("postgres://u:a:b@h/d", ("u", "a:b", "h", "", "d", {})),
        ("postgres://u:p@[::1]:6432/d", ("u", "p", "::1", "6432", "d", {})),
        ("postgres://u@/d?host=/var/run/x%20y", ("u", "", "/var/run/x y", "", "d", {})),
        ("postgres://u@%2Fvar%2Frun/d", ("u", "", "/var/run", "", "d", {})),
        ("postgres://u:p@a:1,b:2/d", ("u", "p", "a,b", "1,2", "d", {})),
        ("postgres://u@h/d?sslmode=verify-full&connect_timeout=3",
         ("u", "", "h", "", "d", {"sslmode": "verify-full", "connect_timeout": "3"})),
        ("postgres://u@h/d?options=-c%20a%3Dx", ("u", "", "h", "", "d", {"options": "-c a=x"})),
        ("postgres://u@h/%D8%B9%D9%8A", ("u", "", "h", "", "عي", {})),
        ("postgres://h/?dbname=d&user=u&password=p&port=7", ("u", "p", "h", "7", "d", {})),
    ],
)  # fmt: skip
def test_database_url__forms_that_libpq_takes__parts(url, expected):
    assert parsed(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/d",
        "u:s3cret@h/d",
        "postgres://u:s3cret@h",
        "postgres://u:s3cret@h/",
        "postgres://u:s3cret#x@h/d",
        "postgres://u:s3cret/x@h/d",
        "postgres://u:s3cret%zz@h/d",
        "postgres://u:s3cret%ff@h/d",
        "postgres://u:s3cret@h:0/d",
        "postgres://u:s3cret@h:70000/d",
        "postgres://u:s3cret@h:five/d",
        "postgres://u:s3cret@::1/d",
        "postgres://u:s3cret@[::1/d",
        "postgres://u:s3cret@h/d?nonsense=1",
        "postgres://u:s3cret@h/d?sslmode",
    ],
)
def test_database_url__malformed__refused_with_the_form_and_without_the_secret(url):
    with pytest.raises(ConfigurationError) as caught:
        parse_database_url(url)
    assert caught.value.exit_code == 2
    assert "DATABASE_URL" in caught.value.cause
    assert "postgresql://USER:PASSWORD@HOST" in caught.value.next_step
    assert "s3cret" not in str(caught.value)


def test_database_url__pooler_between_transactions__no_server_side_cursors():
    assert parse_database_url("postgres://u@h:6543/d")["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert parse_database_url("postgres://u@h:5432/d")["DISABLE_SERVER_SIDE_CURSORS"] is False


@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_database_url__any_password_encoded__comes_out_unchanged(password):
    target = servers.Target(host="h", port="1", user="u", password=password)
    assert parsed(target.url("d")) == ("u", password, "h", "1", "d", {})


@pytest.mark.parametrize(
    ("method", "arguments", "value"),
    [
        ("flag", {"default": False}, "maybe-s3cret"),
        ("integer", {"default": 0}, "12s3cret"),
        ("integer", {"default": 0}, "-1"),
        ("integer", {"default": 0}, "9" * 5000),
        ("origins", {}, "s3cret.example"),
        ("header", {}, "s3cret"),
        ("header_name", {}, "X-s3cret"),
        ("web_address", {}, "s3cret"),
        ("label", {}, "s3cret.example"),
        ("mapping", {}, "[1, 's3cret']"),
        ("reasons", {}, '{"table s3cret": ""}'),
        ("reasons", {}, '{"table s3cret": 1}'),
        ("reasons", {}, '["table s3cret"]'),
        ("database", {}, "s3cret"),
        ("receiver", {}, "ftp://s3cret/"),
        ("receiver", {}, "https://s3cret:password@host/"),
        ("receiver", {}, "file:///s3cret"),
        ("receiver", {}, "say 's3cret"),
    ],
)
def test_reader__value_of_another_form__names_the_variable_never_the_value(tmp_path, method, arguments, value):
    with pytest.raises(ConfigurationError) as caught:
        getattr(reader(tmp_path, NAME=value), method)("NAME", **arguments)
    assert "NAME" in caught.value.cause
    assert "The wanted form:" in caught.value.next_step
    assert value not in str(caught.value)


def test_reader__not_set_or_empty__default(tmp_path):
    for env in (reader(tmp_path), reader(tmp_path, NAME=" ")):
        assert env.text("NAME", default="d") == "d"
        assert env.flag("NAME", default=True) is True
        assert env.integer("NAME", default=3) == 3
        assert env.words("NAME") == []
        assert env.header("NAME") is None
        assert env.header_name("NAME") == ""
        assert env.folder("NAME", relative_to=tmp_path) is None
        assert env.database("NAME") is None


def test_reader__set__typed(tmp_path):
    assert reader(tmp_path, NAME="On").flag("NAME", default=False) is True
    assert reader(tmp_path, NAME="0").flag("NAME", default=True) is False
    assert reader(tmp_path, NAME="a, b,").words("NAME") == ["a", "b"]
    assert reader(tmp_path, NAME="HTTP_X_P=https").header("NAME") == ("HTTP_X_P", "https")
    assert reader(tmp_path, NAME="HTTP_X_P").header_name("NAME") == "HTTP_X_P"
    assert reader(tmp_path, NAME='{"a": 1}').mapping("NAME") == {"a": 1}
    assert reader(tmp_path, NAME='{"table a": "ours"}').reasons("NAME") == {"table a": "ours"}
    assert reader(tmp_path).reasons("NAME") == {}
    assert reader(tmp_path, NAME="data").folder("NAME", relative_to=tmp_path) == tmp_path / "data"
    assert reader(tmp_path, NAME="$HOME").text("NAME") == "$HOME"


def test_file__beside_the_environment__environment_wins(tmp_path):
    (tmp_path / ".env").write_text("\ufeff# comment\n\nA=file\nB='with # sign'\nexport C=\"x\"\r\n", encoding="utf-8")
    env = reader(tmp_path, A="environment")
    assert [env.text(name) for name in "ABC"] == ["environment", "with # sign", "x"]


def test_file__line_of_another_form__names_the_line_never_its_text(tmp_path):
    (tmp_path / ".env").write_text("A=1\nSECRET_KEY = s3cret\n")
    with pytest.raises(ConfigurationError, match=r"Line 2 of .*\.env") as caught:
        reader(tmp_path)
    assert "s3cret" not in str(caught.value)


def test_file__not_text__refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        reader(tmp_path)


def test_example__every_variable_of_the_code__and_no_other():
    settings = ast.parse((servers.PROJECT / "moeen" / "settings.py").read_text(encoding="utf-8"))
    read = {
        call.args[0].value
        for call in ast.walk(settings)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
    }
    example = (servers.PROJECT / ".env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"^([A-Z_]+)=", example, flags=re.M))
    assert read - shown == set()
    assert shown - read == set()
    assert len(read) > 10
    assert Environment(servers.PROJECT / ".env.example", variables={}).database("DATABASE_URL") is None


def test_example__production_settings__are_the_documented_ones():
    example = (servers.PROJECT / ".env.example").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^#   ([A-Z_]+)=(\S+)", example, flags=re.M))
    assert {name: documented[name] for name in PRODUCTION} == PRODUCTION
    assert {"SECRET_KEY", "WEB_DATABASE_URL"} <= documented.keys()


def test_check_deploy__documented_production_settings__clean(manage, web_database):
    urls = {
        "DATABASE_URL": web_database.url,
        "WEB_DATABASE_URL": web_database.target.url(web_database.name, user="moeen_web"),
    }
    key = secrets.token_urlsafe(50)
    done = manage("check", "--deploy", "--fail-level", "WARNING", SECRET_KEY=key, **urls, **PRODUCTION)
    assert done.returncode == 0, done.stderr


def test_check_deploy__nothing_set__complains_of_the_key(manage):
    done = manage("check", "--deploy", "--fail-level", "WARNING", SECRET_KEY="")
    assert done.returncode == 1
    assert "security.W009" in done.stderr


@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        (("runserver",), {"SECRET_KEY": "", "DEBUG": ""}, "True"),
        (("runserver",), {"SECRET_KEY": "k", "DEBUG": ""}, "False"),
        (("runserver",), {"SECRET_KEY": "k", "DEBUG": "true"}, "True"),
        (("migrate",), {"SECRET_KEY": "", "DEBUG": ""}, "False"),
    ],
)
def test_debug__by_command_and_key__on_only_for_developers(words, variables, expected):
    code = f"import sys; sys.argv = ['manage.py', *{words!r}]; from moeen import settings; print(settings.DEBUG)"
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=servers.PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("name", [".env", "backup.key"])
@pytest.mark.parametrize(
    ("mode", "found"), [(0o600, []), (0o640, []), (0o644, ["moeen.W126"]), (0o602, ["moeen.W126"])]
)
def test_check__secrets_that_others_may_use__is_a_warning(settings, tmp_path, name, mode, found):
    settings.BASE_DIR, settings.BACKUP_SIGNING_KEY = tmp_path, tmp_path / "backup.key"
    assert check_dotenv(None) == []
    (tmp_path / name).touch(mode=0o600)
    (tmp_path / name).chmod(mode)
    assert [message.id for message in check_dotenv(None)] == found

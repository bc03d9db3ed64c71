"""Public ids: both generators, parsing, look-up by id whatever the table, and URLs."""

import re
import string
from collections import Counter
from itertools import pairwise

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection
from django.http import HttpResponse
from django.test import override_settings
from django.urls import NoReverseMatch, Resolver404, path, resolve, reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from healthcare.models import Doctor, Patient
from moeen.db import converters, public_ids
from moeen.db.backfill.ids import PublicIds
from sysadmin.models import PublicIdAlias
from tests import factories

ALPHABET = string.digits + string.ascii_lowercase
#: Prefix -> the forms of its ids as BODIES write them.
WRITTEN = {prefix: f"{prefix}({'|'.join(public_ids.BODIES.values())})" for prefix in public_ids.PREFIXES}
prefixes = st.sampled_from(sorted(public_ids.PREFIXES))
bodies = st.one_of(
    st.builds(str.__add__, st.sampled_from(string.ascii_lowercase), st.text(ALPHABET, min_size=23, max_size=23)),
    st.builds("c{}".format, st.text(ALPHABET, min_size=14, max_size=31)),
    st.builds("{:08}_{:06}".format, st.integers(0, 10**8 - 1), st.integers(0, 10**12 - 1)),
)

converters.register()
urlpatterns = [
    path("any/<public_id:text>/", lambda request, text: HttpResponse(text), name="any"),
    path("patients/<pat_id:text>/", lambda request, text: HttpResponse(text), name="patient"),
    path("integrations/<int_id:text>/", lambda request, text: HttpResponse(text), name="integration"),
]


# --- generators --------------------------------------------------------------------------------------------------


def sample_python(count):
    return [public_ids.generate("pat_")[4:] for _ in range(count)]


def sample_sql(count):
    with connection.cursor() as cursor:
        cursor.execute("SELECT substr(app.generate_public_id('pat_'), 5) FROM generate_series(1, %s)", [count])
        return [body for (body,) in cursor.fetchall()]


def sample_backfill(count):
    """The expression that fills older rows, over rows of its own: consecutive ids, the worst that could come."""
    item = PublicIds(Patient)
    expression = item.assignment.removeprefix("public_id = ")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT substr({expression}, 5) FROM (SELECT lpad(to_hex(i), 32, '0')::uuid AS id"
            " FROM generate_series(1, %(count)s) AS i) AS rows",
            {**item.parameters(), "count": count},
        )
        return [body for (body,) in cursor.fetchall()]


SAMPLES = {"python": (sample_python, 20_000), "sql": (sample_sql, 60_000), "backfill": (sample_backfill, 200_000)}


@pytest.mark.django_db
@pytest.mark.parametrize("source", SAMPLES)
def test_generator__every_place__is_uniform_over_its_alphabet(source):
    make, count = SAMPLES[source]
    found = make(count)
    assert len(set(found)) == count
    assert all(re.fullmatch(public_ids.BODIES[public_ids.Form.CUID2], body) for body in found)
    for place in range(24):
        alphabet = string.ascii_lowercase if place == 0 else ALPHABET
        counts = Counter(body[place] for body in found)
        expected = count / len(alphabet)
        chi_square = sum((counts[letter] - expected) ** 2 / expected for letter in alphabet)
        freedom = len(alphabet) - 1
        assert chi_square < freedom + 6 * (2 * freedom) ** 0.5, (place, chi_square)


@pytest.mark.django_db
@pytest.mark.parametrize("source", ["sql", "backfill"])
def test_generator__neighbours__share_nothing(source):
    """Two characters in a row, within an id and from one id to the next, are independent."""
    make, count = SAMPLES[source]
    found = make(count)
    for pairs in (
        Counter(body[place : place + 2] for body in found for place in range(1, 23)),
        Counter(one[place] + two[place] for one, two in pairwise(found) for place in (1, 5, 23)),
    ):
        expected = sum(pairs.values()) / 36**2
        chi_square = sum((pairs[a + b] - expected) ** 2 / expected for a in ALPHABET for b in ALPHABET)
        assert chi_square < 36**2 - 1 + 6 * (2 * (36**2 - 1)) ** 0.5


@pytest.mark.long
@pytest.mark.django_db
@pytest.mark.parametrize("source", SAMPLES)
def test_generator__a_million__holds_no_duplicate_and_fills_buckets_evenly(source):
    """The specification's own collision test, scaled down: ids read as numbers fall evenly into 20 buckets."""
    total, buckets = 1_000_000, 20
    found = SAMPLES[source][0](total)
    assert len(set(found)) == total
    span = 36**23
    counts = Counter(int(body[1:], 36) * buckets // span for body in found)
    assert all(abs(counts[bucket] - total / buckets) < 0.05 * total / buckets for bucket in range(buckets))


@pytest.mark.django_db
def test_generator__two_workers__never_share_a_key():
    assert set(sample_backfill(1000)).isdisjoint(sample_backfill(1000))


def test_legacy_cuid__many__are_of_the_legacy_form_and_distinct():
    found = [public_ids.legacy_cuid() for _ in range(2000)]
    assert len(set(found)) == 2000
    assert all(re.fullmatch(public_ids.BODIES[public_ids.Form.LEGACY], body) for body in found)
    assert public_ids.parse(f"pat_{found[0]}").model is Patient


# --- parsing -----------------------------------------------------------------------------------------------------


@given(prefixes, bodies)
@example("pat_", "20251017_000001")
@example("pat_", "20251017_1000001")
@example("pat_", "c" + "z" * 31)
@example("pat_", "c" + "0" * 14)
def test_parse__any_id_of_the_three_forms__gives_its_parts(prefix, body):
    found = public_ids.parse(prefix + body)
    assert (found.text, found.prefix, found.model) == (prefix + body, prefix, public_ids.PREFIXES[prefix])
    expected = "dated" if "_" in body else "cuid2" if len(body) == 24 else "legacy"
    assert found.form == expected
    assert re.fullmatch(WRITTEN[prefix], prefix + body)


@given(st.text(max_size=50))
@settings(max_examples=500)
def test_parse__any_text__is_an_id_by_the_columns_check_or_an_error_in_words(text):
    fits = any(re.fullmatch(written, text) for written in WRITTEN.values())
    if fits:
        public_ids.parse(text)
    else:
        with pytest.raises(public_ids.PublicIdError) as caught:
            public_ids.parse(text)
        assert str(caught.value)
        assert "\0" not in str(caught.value)


@given(prefixes, bodies, st.integers(0, 40), st.characters(exclude_categories=(), exclude_characters=ALPHABET + "_"))
def test_parse__one_foreign_character__is_named_by_its_place(prefix, body, place, character):
    text = prefix + body
    place %= len(text)
    text = text[:place] + character + text[place + 1 :]
    with pytest.raises(public_ids.PublicIdError, match=f"Character {place + 1} "):
        public_ids.parse(text)


# --- what the columns are checked by -------------------------------------------------------------------------------

#: What is nearly of the alphabet: the neighbours of its ends, the other case, other scripts, what no one sees.
FOREIGN = "/:`{AZ_ \n\r\t-.\u0663\uff11\u00b2\u0430\u00e9\u0131\u212a\u017f\u200b\u00a0\U0001f600"


def nearly_ids():
    """Texts on both sides of each line that the forms draw."""
    made = [first + rest * n for first in "ac019z" for rest in "az09" for n in range(40)]
    made += ["1" * left + "_" + "1" * right for left in range(5, 12) for right in range(16)]
    sound = ["a" * 24, "c" + "0" * 14, "c" * 24, "c" + "z" * 31, "20251017_000001", "20251017_000000000001"]
    made += sound
    for body in sound:
        for place in range(len(body) + 1):
            for character in FOREIGN + "a1":
                made += [body[:place] + character + body[place:], body[:place] + character + body[place + 1 :]]
    made += [body.upper() for body in sound] + ["", "_", "__", "1_", "_1", *(body * 2 for body in sound)]
    return {prefix + body for prefix in ("pat_", "doc_", "pat", "PAT_", "pat-", "xpat_", "\n", "") for body in made}


def judged(texts, values="unnest(%s::text[]) AS v", prefix="pat_"):
    """text -> whether the columns' check lets it in, as the server says."""
    condition = public_ids.form_condition(sql.Identifier("v"), prefix).as_string(None)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT v, {condition} FROM {values}", [list(texts)])
        return dict(cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.parametrize("collation", ["C", "default", "ucs_basic"])
def test_check__texts_about_the_lines_of_the_forms__are_judged_as_they_are_written(collation):
    found = judged(nearly_ids(), values=f'(SELECT v COLLATE "{collation}" AS v FROM unnest(%s::text[]) AS v) AS t')
    wanted = {text: re.fullmatch(WRITTEN["pat_"], text) is not None for text in found}
    assert [text for text, fits in found.items() if fits is not wanted[text]] == []
    assert len(found) > 15_000
    assert sum(wanted.values()) > 300


@pytest.mark.django_db
@given(st.lists(st.one_of(
    st.builds("pat_{}".format, st.text(ALPHABET + FOREIGN, max_size=40)),
    st.builds("{}{}{}".format, st.just("pat_"), bodies, st.sampled_from([*FOREIGN, "", "0"])),
    st.text(max_size=40).filter(lambda text: re.search("[\0\ud800-\udfff]", text) is None),
), min_size=20, max_size=200))  # fmt: skip
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_check__any_text__is_judged_as_the_forms_are_written(texts):
    for text, fits in judged(texts).items():
        assert fits is (re.fullmatch(WRITTEN["pat_"], text) is not None), text


@pytest.mark.django_db
def test_check__no_id_yet__is_let_in():
    assert judged([None]) == {None: None}


GOOD = "pat_" + "a" * 24
MALFORMED = {
    "": "No prefix",
    "pat": "No prefix",
    "pat_": "nothing follows",
    "a" * 24: "No prefix",
    "pax_" + "a" * 24: "Unknown prefix pax_",
    "Pat_" + "a" * 24: "upper case",
    "pat_" + "A" + "a" * 23: "upper case",
    " " + GOOD: "white space",
    GOOD + "\n": "white space",
    GOOD + "\u00a0": "NO-BREAK SPACE",
    "pat_\u0430" + "a" * 23: "CYRILLIC SMALL LETTER A",
    "pat_a\u0663" + "a" * 22: "digit of another script",
    "pat_a\uff11" + "a" * 22: "digit of another script",
    "pat_a\u00b2" + "a" * 22: "digit of another script",
    "pat_a\u200b" + "a" * 22: "ZERO WIDTH SPACE",
    "pat_a-" + "a" * 22: "HYPHEN-MINUS",
    GOOD + "\0": "NUL",
    "pat_\ud800" + "a" * 23: "U\\+D800",
    "pat_" + "a" * 23: "here there are 23",
    "pat_" + "a" * 25: "here there are 25",
    "pat_1" + "a" * 23: "a letter first",
    "pat_" + "a" * 12 + "_" + "a" * 11: "no further _",
    "pat_2025101_000001": "eight digits",
    "pat_20251017_1": "eight digits",
    "pat_20251017_" + "1" * 13: "6 to 12 digits",
    "pat_c" + "a" * 33: "Too long",
    "pat_" * 1_000_000: "Too long",
}


@pytest.mark.parametrize(("text", "words"), MALFORMED.items(), ids=range(len(MALFORMED)))
def test_parse__malformed__says_in_which_respect(text, words):
    with pytest.raises(public_ids.PublicIdError, match=words):
        public_ids.parse(text)


@pytest.mark.parametrize("thing", [None, 5, b"pat_" + b"a" * 24, ["pat_"]])
def test_parse__no_text__says_so(thing):
    with pytest.raises(public_ids.PublicIdError, match=type(thing).__name__):
        public_ids.parse(thing)


def test_parse__prefix_of_another_table__names_both():
    with pytest.raises(public_ids.PublicIdError, match="pat_ is that of patients; doc_ is expected"):
        public_ids.parse(GOOD, prefix="doc_")


# --- look-up -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("factory", factories.FACTORIES.values(), ids=lambda factory: factory.__name__)
def test_look_up__any_row__is_found_by_its_id_alone(factory):
    row = factory()
    row.refresh_from_db()
    assert public_ids.look_up(row.public_id) == row


@pytest.mark.django_db
@pytest.mark.parametrize("text", [GOOD, "doc_" + "a" * 24, *list(MALFORMED)[:-1], None])
def test_look_up__nothing_of_that_id__does_not_exist(text):
    with pytest.raises(ObjectDoesNotExist):
        public_ids.look_up(text)
    with pytest.raises(Patient.DoesNotExist):
        Patient.objects.get_by_public_id(text)


@pytest.mark.django_db
def test_get_by_public_id__id_of_another_tables_row__does_not_exist():
    doctor = factories.doctor()
    with pytest.raises(Patient.DoesNotExist):
        Patient.objects.get_by_public_id(doctor.public_id)
    assert Doctor.objects.get_by_public_id(doctor.public_id) == doctor


@pytest.mark.django_db
def test_get_by_public_id__alias__leads_to_the_row_within_the_query_set():
    patient, other = factories.patient(), factories.patient()
    PublicIdAlias.objects.create(alias="pat_20251017_000001", table_name="patients", row_id=patient.pk)
    assert Patient.objects.get_by_public_id("pat_20251017_000001") == patient
    assert public_ids.look_up("pat_20251017_000001") == patient
    with pytest.raises(Patient.DoesNotExist):
        Patient.objects.filter(pk=other.pk).get_by_public_id("pat_20251017_000001")
    patient.delete()
    with pytest.raises(Patient.DoesNotExist):
        Patient.objects.get_by_public_id("pat_20251017_000001")


# --- URLs --------------------------------------------------------------------------------------------------------


@override_settings(ROOT_URLCONF=__name__)
@given(prefixes, bodies)
def test_converter__any_id__goes_there_and_back(prefix, body):
    assert resolve(reverse("any", args=[prefix + body])).kwargs == {"text": prefix + body}


@override_settings(ROOT_URLCONF=__name__)
def test_converter__of_one_table__takes_its_own_ids_only():
    assert resolve(f"/patients/{GOOD}/").kwargs == {"text": GOOD}
    assert reverse("patient", args=[Patient(public_id=GOOD)]) == f"/patients/{GOOD}/"
    others = ("integrations/" + GOOD, "patients/doc_" + GOOD[4:], f"patients/{GOOD}x", "any/zzz_" + GOOD[4:])
    for url in others:
        with pytest.raises(Resolver404):
            resolve(f"/{url}/")
    with pytest.raises((NoReverseMatch, ValueError)):
        reverse("patient", args=["doc_" + "a" * 24])

"""Progress on stderr: bars on a terminal, plain lines with an estimate off it."""

import io

import pytest

from sysadmin.management.progress import Display


class Stream(io.StringIO):
    """Takes lines as Django's wrapper of stderr does."""

    def __init__(self, *, terminal=False):
        super().__init__()
        self._out, self.terminal, self.lines = self, terminal, []

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.lines.append(text)
        return super().write(text)


@pytest.fixture
def now():
    return [0.0]


def test_progress__off_a_terminal__a_line_every_two_seconds_with_an_estimate(now):
    stream = Stream()
    with Display(stream, clock=lambda: now[0]) as display:
        for second in range(11):
            now[0] = float(second)
            display.show("backup", second * 100, 1000, unit="rows")
    assert stream.lines[0] == "backup 200/1000 rows, about 0:08 left"
    assert stream.lines[-1] == "backup 1000/1000 rows"
    assert len(stream.lines) == 5


def test_progress__off_a_terminal__each_step_when_asked_and_words_in_place_of_the_estimate(now):
    stream = Stream()
    with Display(stream, clock=lambda: now[0]) as display:
        for done in (1, 2):
            display.show("migrations", done, 2, words=f"crm.000{done} (0.1 s)", each=True)
        display.tell("A line.")
    assert stream.lines == ["migrations 1/2, crm.0001 (0.1 s)", "migrations 2/2, crm.0002 (0.1 s)", "A line."]


def test_progress__on_a_terminal__draws_a_bar_and_keeps_lines():
    stream = Stream(terminal=True)
    with Display(stream) as display:
        display.show("backup", 1, 3)
        display.tell("[red]not markup")
        display.show("backup", 3, 3, words="12 rows/s")
    text = stream.getvalue()
    assert "[red]not markup" in text
    assert "3/3" in text
    assert "12 rows/s" in text

"""Clients that read and write a clinic database at a steady pace, each in a process of its own, and what they felt.

A latency is counted from the moment at which the statement was due, so a stall counts for every statement that it
held up, not only for the one that met it. Ids of patients and appointments follow from a counter (`row_id`).

Statements name their columns and are not prepared, as those of Django, of node-postgres and (their answers being
JSON) of PostgREST; a prepared statement that selects a column whose type changes must be prepared anew.
"""

import contextlib
import hashlib
import multiprocessing
import random
import time
import uuid
from dataclasses import dataclass, field

import psycopg

STATUSES = ("scheduled", "confirmed", "completed", "cancelled")


def row_id(table: str, number: int) -> uuid.UUID:
    """The id of the row of that number, as `md5('patients7')::uuid` says it in SQL."""
    return uuid.UUID(hashlib.md5(f"{table}{number}".encode()).hexdigest())


@dataclass
class Felt:
    """What the clients felt in a stretch of time: milliseconds a statement, and errors by SQLSTATE."""

    milliseconds: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    slowest: str = ""

    @property
    def longest(self) -> float:
        return max(self.milliseconds, default=0.0)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0

    def __add__(self, other: "Felt") -> "Felt":
        errors = {key: self.errors.get(key, 0) + other.errors.get(key, 0) for key in self.errors | other.errors}
        longer = self if self.longest >= other.longest else other
        return Felt(self.milliseconds + other.milliseconds, errors, longer.slowest)


class Load:
    """`clients` processes with `rate` transactions a second each, between `__enter__` and `__exit__`."""

    def __init__(self, url: str, *, clients: int, rate: float, rows: int) -> None:
        self.arguments = (url, rate, rows)
        self.clients = clients
        self._context = multiprocessing.get_context("spawn")
        self.samples: list[tuple[float, float, str, str]] = []

    def __enter__(self) -> "Load":
        self._stop, self._ready = self._context.Event(), self._context.Barrier(self.clients + 1)
        self._pipes, self._processes = [], []
        for number in range(self.clients):
            here, there = self._context.Pipe(duplex=False)
            words = (*self.arguments, number, self._stop, self._ready, there)
            process = self._context.Process(target=_client, args=words, daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        self._ready.wait(timeout=60)
        return self

    def __exit__(self, *error) -> None:
        self._stop.set()
        with contextlib.suppress(EOFError):
            for pipe in self._pipes:
                self.samples += pipe.recv()
        for process in self._processes:
            process.join(timeout=60)
        if any(process.exitcode for process in self._processes):
            raise RuntimeError("A client broke down; see above.")

    def felt(self, start: float, end: float) -> Felt:
        """What fell into a stretch of time.monotonic(): statements that were due in it. Known after the load."""
        felt, slowest = Felt(), -1.0
        for due, milliseconds, error, kind in self.samples:
            if not start <= due < end:
                continue
            felt.milliseconds.append(milliseconds)
            if error:
                felt.errors[f"{error} {kind}"] = felt.errors.get(f"{error} {kind}", 0) + 1
            if milliseconds > slowest:
                slowest = milliseconds
                felt.slowest = f"{kind}, {due - start:.1f} s after the start"
        return felt


def _client(url: str, rate: float, rows: int, number: int, stop, ready, pipe) -> None:
    chance, samples = random.Random(number), []
    connection = _connect(url)
    ready.wait(timeout=60)
    due = time.monotonic() + chance.random() / rate
    while not stop.is_set():
        delay = due - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        counted_from = due
        try:
            with connection.transaction() if (work := _transaction(chance, rows))[1:] else contextlib.nullcontext():
                for kind, statement, parameters in work:
                    connection.execute(statement, parameters)
                    ended = time.monotonic()
                    samples.append((counted_from, (ended - counted_from) * 1000, "", kind))
                    counted_from = ended
        except psycopg.Error as error:
            name = error.sqlstate or type(error).__name__
            samples.append((counted_from, (time.monotonic() - counted_from) * 1000, name, kind))
            if connection.closed:
                connection = _connect(url)
        due += 1 / rate
    connection.close()
    pipe.send(samples)
    pipe.close()


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, application_name="client")


def _transaction(chance: random.Random, rows: int) -> list[tuple[str, str, list]]:
    """One piece of a clinic's day: (name, statement, parameters) of each statement; several are one transaction."""
    patient, appointment = (row_id(table, chance.randint(1, rows)) for table in ("patients", "appointments"))
    status = chance.choice(STATUSES)
    move = (
        "move an appointment",
        "UPDATE appointments SET status = %s, notes = %s, updated_at = now() WHERE id = %s",
        [status, f"moved to {status}", appointment],
    )
    match chance.choices(("chart", "day", "edit", "move", "book", "register", "visit"), (35, 20, 15, 10, 10, 5, 5))[0]:
        case "chart":
            columns = "id, first_name, last_name, email, phone, date_of_birth, allergies, created_at"
            return [("read a patient", f"SELECT {columns} FROM patients WHERE id = %s", [patient])]
        case "day":
            return [
                (
                    "read an appointment",
                    "SELECT a.id, a.appointment_date, a.appointment_time, a.status, p.first_name, p.last_name,"
                    " d.last_name FROM appointments a JOIN patients p ON p.id = a.patient_id"
                    " JOIN doctors d ON d.id = a.doctor_id WHERE a.id = %s",
                    [appointment],
                )
            ]
        case "edit":
            return [
                (
                    "edit a patient",
                    "UPDATE patients SET phone = %s, address = %s, updated_at = now() WHERE id = %s",
                    [f"+9665{chance.randint(0, 99_999_999):08}", f"Street {chance.randint(1, 999)}", patient],
                )
            ]
        case "move":
            return [move]
        case "book":
            doctor = row_id("doctors", chance.randint(1, 100))
            values = [patient, doctor, "2026-12-01", "09:30", "booked by a client"]
            return [
                (
                    "book an appointment",
                    "INSERT INTO appointments (patient_id, doctor_id, appointment_date, appointment_time, notes)"
                    " VALUES (%s, %s, %s, %s, %s) RETURNING id",
                    values,
                )
            ]
        case "register":
            values = ["New", "Patient", f"{uuid.uuid4().hex}@example.test"]
            return [
                (
                    "register a patient",
                    "INSERT INTO patients (first_name, last_name, email) VALUES (%s, %s, %s) RETURNING id",
                    values,
                )
            ]
        case _:
            lock = ("lock a patient", "SELECT id, phone FROM patients WHERE id = %s FOR UPDATE", [patient])
            return [lock, move]

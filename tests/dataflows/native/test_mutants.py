"""The C, put wrong: the comparison with what does the same in Python must notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.native import CSRC, FLAGS, HEADERS, LINKED, SOURCES

pytestmark = pytest.mark.kafka  # it needs none, but a compiler and a minute: only where there is time

WRONG = {
    "a window too early": (
        "tally.c",
        "int64_t window = start_of(tally, time);",
        "int64_t window = start_of(tally, time) - tally->window;",
    ),
    "late a moment too early": ("tally.c", "tally->delay <= tally->face.clock;", "tally->delay <= tally->face.clock + 1;"),
    "late a moment too late": ("tally.c", "tally->delay <= tally->face.clock;", "tally->delay < tally->face.clock;"),
    "too far ahead moves the clock": (
        "tally.c",
        "row->status = TOO_FAR_AHEAD;",
        "row->status = TOO_FAR_AHEAD; face->clock = row->time;",
    ),
    "repeats count": ("tally.c", "if (!added) {", "if (added < 0) {"),
    "generations do not turn": ("tally.c", "row->time >= face->turns_at", "row->time > face->turns_at"),
    "conversions without purchases": ("contract.h", "[ROLE_PURCHASE] = {[COUNT_CONVERSIONS] = 1, ", "[ROLE_PURCHASE] = {"),
    "refunds are revenue": ("contract.h", "[ROLE_REFUND] = MONEY_REFUND", "[ROLE_REFUND] = MONEY_REVENUE"),
    "the cost is not spent": ("cells.c", "cell->money[MONEY_SPEND] += row->cost;", ""),
    "names run together": ("cells.c", "hash_mix(campaign ^ (channel << 1 | channel >> 63) ^ currency)", "channel"),
    "zones the wrong way": ("fast.c", "(*at == '-' ? -60 : 60)", "(*at == '-' ? 60 : -60)"),
    "no leap years": ("fast.c", "(leap && month > 2)", "0"),
    "a key given twice": ("fast.c", "bool again = given->fields & field;", "bool again = false;"),
    "any text is UTF-8": ("fast.c", "!all.beyond || is_utf8(begin, end)", "1"),
    "control characters": ("fast.c", "(unsigned char)*at < 0x20", "(unsigned char)*at < 0x08"),
    "pairs of surrogates": ("fast.c", "((code - 0xD800) << 10)", "((code - 0xD800) << 9)"),
    "any escape": ("fast.c", "low >= 0xDC00 && low <= 0xDFFF ? at + 12 : NULL", "at + 12"),
    "names of bytes": ("fast.c", "characters <= LONGEST_NAME", "size <= LONGEST_NAME * 5"),
    "what follows an event": ("fast.c", "skip_space(at + 1, end) == end", "1"),
    "ids half compared": (
        "ids.c",
        "bucket->first[slot] == first && bucket->rest[slot] == rest",
        "bucket->rest[slot] >> 24 == rest >> 24",
    ),
    "ids forgotten early": ("ids.c", "age == 0 || age >= 32", "age <= 1 || age >= 32"),
    "the shard of another name": ("pack.c", "0xEDB88320", "0xEDB88321"),
    "one currency": ("fast.c", "memcpy(row->currency, text, size);", ""),
    "small letters": ("fast.c", "text[at] < 'A' || text[at] > 'Z'", "text[at] > 'z'"),
    "the currency of the deployment is another": (
        "cells.c",
        "memcpy(key->currency, row->currency",
        'memcpy(key->currency, "XXX"',
    ),
    "a declared type does not count": ("cells.c", "row->declared]++;", "row->declared];"),
    "a declared type has no role": ("fast.c", "row->role = (uint8_t)type->role;", "row->role = NO_ROLE;"),
    "no field of a breakdown is given twice": ("fast.c", "bool again = *word & bit;", "bool again = false;"),
    "any value of a breakdown's field": (
        "fast.c",
        "if (field == FIELD_OTHER && slot < 0) {",
        "if (field == FIELD_OTHER && *at != '\"') {",
    ),
    "one more is admitted": ("admission.c", "admission->count >= bound", "admission->count > bound"),
    "nothing is not set": ("admission.c", "return value->text ? value->size : NOT_SET;", "return value->text ? value->size : 0;"),
    "a refill admits nothing": ("tally.c", "if (refill && !tally->reading.plan->breakdown_count)", "if (refill)"),
    "a refill counts": ("cells.c", "if (admit_only)\n        return 0;", ""),
    "what was admitted is forgotten early": (
        "tally.c",
        "tally->face.clock - tally->delay - tally->window + 1",
        "tally->face.clock",
    ),
    "what is not admitted is not set": ("pack.c", "to = put_size(to, OTHER);", "to = put_size(to, NOT_SET);"),
    "the slow path has no values": ("tally.c", "(Value){texts[3 + slot],", "(Value){NULL,"),
    "the counts of the last cell": ("cells.c", "memset(cells->declared + size - counts, 0,", "memset(cells->declared, 0,"),
    "what is not admitted is not set in records": ("records.c", 'to = put(to, "true");', 'to = put(to, "null");'),
    "counts of 0 are given out": ("records.c", "if (!declared[at])", "if (0)"),
    "declared types are not restored": ("panes.c", "declared_of(panes->table, pane, cell)[at] += count;", ""),
    "sums beyond 64 bits": ("cells.c", "if (!has_room(cells->cells + place, row) &&", "if (false &&"),
    "the other cell of a key stays full": ("cells.c", "memset(from->money, 0, sizeof full.money);", ""),
    "no corrections": ("panes.c", "cell->state = CORRECTED;", "cell->state = cell->state;"),
    "the last event waits": ("panes.c", "if (cell->waits_since == NOTHING)", "if (1)"),
    "what a snapshot kept is not said": ("panes.c", "if (cell->changed && !panes_queue(panes, pane, cell, 0))", "if (0)"),
    "a backlog is as anything else": ("due.c", "behind ? panes->rare_pause : panes->pause", "panes->pause"),
    "too early": ("due.c", "ceil(due * TICKS)", "floor(due * TICKS)"),
    "a clock that was set back": ("due.c", "!(cell->emitted_at <= now && now < due)", "!(now < due)"),
    "updates of closed windows": ("due.c", "cell->changed && !is_closed(panes, place.window, watermark) &&", "cell->changed &&"),
    "a later turn of the wheel": ("due.c", "(double)place.tick / TICKS > now", "0"),
    "what is corrected is final": ("due.c", "if (cell->state != PROVISIONAL)", "if (cell->state == FINAL)"),
    "the youngest waited longest": (
        "records.c",
        "cell->waits_since < face->oldest_time",
        "cell->waits_since > face->oldest_time",
    ),
    "a thousand": ("contract.h", "1000 * (m)[MONEY_SPEND], ", "(m)[MONEY_SPEND], "),
    "refunds are not taken off": ("contract.h", "(m)[MONEY_REVENUE] + -1 * (m)[MONEY_REFUND], ", "(m)[MONEY_REVENUE], "),
    "beyond the whole numbers of doubles": ("records.c", "(Money)1 << 53", "(Money)1 << 90"),
    "a snapshot of before": ("records.c", "pane->changed = true;", ""),
    "ten times": ("text.c", "*power = k + 1;", "*power = k;"),
    "quotes in names": ("text.c", "byte != '\"' && ", ""),
    "keys are values": ("send.c", "VT_VALUE = 4, VT_KEY = 5", "VT_VALUE = 5, VT_KEY = 4"),
    "what is sent is not copied": ("send.c", "arguments[1].of.number = COPY;", "arguments[1].of.number = 0;"),
    "what is sent is not counted": ("send.c", "atomic_fetch_add(&client->sent, 1);", ""),
    "what is refused is not counted": ("client.c", "atomic_fetch_add(&client->refused, 1);", ""),
    "what is taken is refused": ("client.c", "if (report->code)", "if (1)"),
    "the last reason is reported": (
        "client.c",
        "atomic_compare_exchange_strong(&client->code, &none, report->code);",
        "atomic_store(&client->code, report->code + none);",
    ),
    "why a record can't be sent is not reported": ("send.c", "*code = functions.error_code(error);", "*code = 0;"),
    "every record is measured": ("send.c", "count + (from == measured)", "count + (measured >= 0)"),
    "no record is measured": ("send.c", "count + (from == measured)", "count"),
    "the last header is for one": (
        "send.c",
        "size_t count = 4 + (size_t)header_count;",
        "size_t count = 3 + (size_t)header_count;",
    ),
    "room for a header fewer": ("send.c", "header_count > MOST_HEADERS", "header_count >= MOST_HEADERS"),
    "headers end with a zero": ("send.c", "= headers->size;", "= (int64_t)strlen(headers->value);"),
    "a producer that is gone": ("client.c", "atomic_store(&client->handle, NULL);", ""),
    "offsets of before": (
        "fetch.c",
        "to->offsets[to->count] = message->offset;",
        "to->offsets[to->count] = message->offset - 1;",
    ),
    "sizes of before": ("fetch.c", "to->sizes[to->count] = ", "to->sizes[to->count + 1] = "),
    "faults without a place": ("fetch.c", "partition ? partition->offset : -1", "-1"),
    "ids never forgotten": ("ids.c", "age == 0 || age >= 32", "age >= 32"),
}
SAME = {"names run together"}
"""A hash that is worse, and decides nothing: the comparison must stay silent, as for the C as it is."""


@pytest.mark.parametrize("name", WRONG)
def test_a_library_that_is_put_wrong_is_noticed(name: str, tmp_path: Path) -> None:
    file, right, wrong = WRONG[name]
    for source in (*HEADERS, *SOURCES):
        shutil.copy(CSRC / source, tmp_path)
    given = (tmp_path / file).read_text()
    assert right in given, "what the mutant changes is there no more"
    (tmp_path / file).write_text(given.replace(right, wrong))
    made = tmp_path / "wrong.so"
    subprocess.run(["cc", *FLAGS, "-O0", "-o", made, *(tmp_path / source for source in SOURCES), *LINKED], check=True)
    command = [sys.executable, "-m", "tests.support.engines.native_comparison", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if name in SAME else 1), done.stdout + done.stderr


def test_no_message_makes_the_library_read_or_count_beyond_what_it_has(tmp_path: Path) -> None:
    made = tmp_path / "watched.so"
    watch = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
    subprocess.run(["cc", *FLAGS, *watch, "-o", made, *(CSRC / source for source in SOURCES), *LINKED], check=True)
    names = ("libasan.so", "libubsan.so")
    found = [
        subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in names
    ]
    # Leaks of the interpreter itself are not the point; with its own allocator no message would have an end that is watched.
    env = {**os.environ, "LD_PRELOAD": ":".join(found), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    command = [sys.executable, "-m", "tests.support.engines.native_comparison", str(made)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

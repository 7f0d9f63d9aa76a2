/* The fast path: reads an ad event of the usual form, by rules that are narrower than the contract's.
 *
 * Every other message - a number with an exponent, a time in another form, a repeated key, anything malformed - takes
 * the slow path in Python, which has the whole contract. So this code need not know what is malformed, only what
 * certainly is not; tests/dataflows/native/test_sameness.py compares the two.
 */
#include "fast.h"

#include <string.h>

enum { MAX_NESTING = 16, MAX_DIGITS = 14 };

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* What was seen in a text, or in several. */
typedef struct {
    bool beyond; /* bytes beyond ASCII */
    bool escaped;
} Seen;

static int hex(char byte)
{
    char lower = byte | 32;
    return byte >= '0' && byte <= '9' ? byte - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The UTF-16 unit of \uXXXX; -1 if it is none. */
static int unit_at(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    int unit = 0;
    for (int place = 2; place < 6; place++) {
        if (hex(at[place]) < 0)
            return -1;
        unit = unit * 16 + hex(at[place]);
    }
    return unit;
}

/* Behind the escape at `at`; NULL if the escape does not exist, or half a pair of surrogates. */
static const char *escape_end(const char *at, const char *end)
{
    if (end - at < 2)
        return NULL;
    if (at[1] != 'u')
        return memchr("\"\\/bfnrt", at[1], 8) ? at + 2 : NULL;
    int unit = unit_at(at, end);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return NULL;
    if (unit < 0xD800 || unit > 0xDFFF)
        return at + 6;
    int low = unit_at(at + 6, end);
    return low >= 0xDC00 && low <= 0xDFFF ? at + 12 : NULL;
}

/* The closing quote of the text that begins at `at`; NULL if there is none, or a control character or a wrong escape
 * before it. */
static const char *text_end(const char *at, const char *end, Seen *seen)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (;;) {
        while (end - at >= 8) { /* eight at a time, while there is nothing to see */
            uint64_t eight;
            memcpy(&eight, at, 8);
            uint64_t quote = eight ^ ones * '"', escape = eight ^ ones * '\\';
            uint64_t found = ((quote - ones) & ~quote) | ((escape - ones) & ~escape) | ((eight - ones * 0x20) & ~eight);
            if (found & highs)
                break;
            seen->beyond |= (eight & highs) != 0;
            at += 8;
        }
        for (; at < end && *at != '"' && *at != '\\'; at++) {
            if ((unsigned char)*at < 0x20)
                return NULL;
            seen->beyond |= (unsigned char)*at >= 0x80;
        }
        if (at == end)
            return NULL;
        if (*at == '"')
            return at;
        seen->escaped = true;
        at = escape_end(at, end);
        if (!at)
            return NULL;
    }
}

static char *put_utf8(char *to, int code)
{
    if (code < 0x80)
        *to++ = (char)code;
    else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* The text without its escapes, at `to`; its size. It is never longer than it was. */
static size_t unescape(const char *at, const char *end, char *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *begin = to;
    while (at < end) {
        if (*at != '\\')
            *to++ = *at++;
        else if (at[1] != 'u') {
            *to++ = into[(const char *)memchr(from, at[1], 8) - from];
            at += 2;
        } else {
            int code = unit_at(at, end);
            at += 6;
            if (code >= 0xD800 && code <= 0xDFFF) {
                code = 0x10000 + ((code - 0xD800) << 10) + unit_at(at, end) - 0xDC00;
                at += 6;
            }
            to = put_utf8(to, code);
        }
    }
    return (size_t)(to - begin);
}

/* Whether it is UTF-8 (RFC 3629): no overlong form, no surrogate, nothing beyond U+10FFFF. */
static bool is_utf8(const char *begin, const char *end)
{
    const unsigned char *at = (const unsigned char *)begin, *stop = (const unsigned char *)end;
    while (at < stop) {
        unsigned char lead = *at++;
        if (lead < 0x80)
            continue;
        int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        unsigned char least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned char most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (lead < 0xC2 || lead > 0xF4 || stop - at < more || *at < least || *at > most)
            return false;
        for (at++; --more > 0; at++)
            if ((*at & 0xC0) != 0x80)
                return false;
    }
    return true;
}

/* 1 to 256 characters; of UTF-8 every byte but the continuing ones begins one. */
static bool is_name(const char *text, size_t size)
{
    if (size == 0 || size > LONGEST_TEXT)
        return false;
    if (size <= LONGEST_NAME)
        return true;
    size_t characters = 0;
    for (size_t at = 0; at < size; at++)
        characters += ((unsigned char)text[at] & 0xC0) != 0x80;
    return characters <= LONGEST_NAME;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Digits without a leading zero; the end of them, NULL if there are none or more than MAX_DIGITS. */
static const char *read_digits(const char *at, const char *end, int64_t *number)
{
    const char *begin = at;
    int64_t value = 0;
    while (at < end && is_digit(*at) && at - begin <= MAX_DIGITS)
        value = value * 10 + (*at++ - '0');
    *number = value;
    bool fits = at > begin && at - begin <= MAX_DIGITS && (*begin != '0' || at - begin == 1);
    return fits ? at : NULL;
}

/* So few digits that a sum of as many as ever are added up before Python takes it over fits in 64 bits. */
static const char *read_integer(const char *at, const char *end, int64_t *number)
{
    bool negative = at < end && *at == '-';
    at = read_digits(at + negative, end, number);
    if (at && negative)
        *number = -*number;
    return at && negative && *number == 0 ? NULL : at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

static const char *skip_value(const char *at, const char *end, Seen *seen, int depth);

/* Behind the closing bracket of an object or a list, of whose content nothing is needed. */
static const char *skip_nested(const char *at, const char *end, Seen *seen, int depth)
{
    bool named = *at == '{';
    char close = named ? '}' : ']';
    at = skip_space(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    while (at < end) {
        if (named) {
            if (*at != '"' || !(at = text_end(at + 1, end, seen)))
                return NULL;
            at = skip_space(at + 1, end);
            if (at == end || *at != ':')
                return NULL;
            at = skip_space(at + 1, end);
        }
        at = skip_value(at, end, seen, depth);
        if (!at)
            return NULL;
        at = skip_space(at, end);
        if (at == end || (*at != ',' && *at != close))
            return NULL;
        if (*at == close)
            return at + 1;
        at = skip_space(at + 1, end);
    }
    return NULL;
}

static const char *skip_value(const char *at, const char *end, Seen *seen, int depth)
{
    int64_t ignored;
    if (at == end || depth == 0)
        return NULL;
    switch (*at) {
    case '"':
        at = text_end(at + 1, end, seen);
        return at ? at + 1 : NULL;
    case '{':
    case '[':
        return skip_nested(at, end, seen, depth - 1);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        at = read_digits(at + (*at == '-'), end, &ignored);
        if (at && at < end && *at == '.') {
            const char *begin = ++at;
            while (at < end && is_digit(*at))
                at++;
            return at > begin ? at : NULL;
        }
        return at;
    }
}

static bool two_digits(const char *at, int *number)
{
    *number = (at[0] - '0') * 10 + (at[1] - '0');
    return is_digit(at[0]) && is_digit(at[1]);
}

/* Days since 1970 of a date of the years 1970 to 2099, in which every fourth is a leap year. */
static bool read_date(const char *at, int64_t *days)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int century, year, month, day;
    if (!two_digits(at, &century) || !two_digits(at + 2, &year) || !two_digits(at + 5, &month) ||
        !two_digits(at + 8, &day))
        return false;
    year += century * 100;
    if (at[4] != '-' || at[7] != '-' || year < 1970 || year > 2099 || month < 1 || month > 12)
        return false;
    int leap = year % 4 == 0;
    if (day < 1 || day > before[month] - before[month - 1] + (leap && month == 2))
        return false;
    *days = (year - 1970) * 365 + (year - 1969) / 4 + before[month - 1] + (leap && month > 2) + day - 1;
    return true;
}

/* 2026-11-23T08:00:00.123456Z, with up to six digits behind the point, or with +05:30 in the place of Z. */
static bool read_time(Reading *reading, const char *text, size_t size, int64_t *time)
{
    int hour, minute, second;
    if (size < 20)
        return false;
    if (memcmp(text, reading->date, 10) != 0) {
        if (!read_date(text, &reading->days))
            return false;
        memcpy(reading->date, text, 10);
    }
    if (text[10] != 'T' || text[13] != ':' || text[16] != ':' || !two_digits(text + 11, &hour) ||
        !two_digits(text + 14, &minute) || !two_digits(text + 17, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    const char *at = text + 19, *end = text + size;
    int64_t micros = 0;
    if (*at == '.') {
        int64_t unit = 1000000;
        for (at++; at < end && is_digit(*at) && unit > 1; at++) {
            unit /= 10;
            micros += (*at - '0') * unit;
        }
        if (unit == 1000000)
            return false;
    }
    int ahead = 0;
    if (end - at == 6 && (*at == '+' || *at == '-')) {
        int hours, minutes;
        if (at[3] != ':' || !two_digits(at + 1, &hours) || !two_digits(at + 4, &minutes) || hours > 14 || minutes > 59)
            return false;
        ahead = (hours * 60 + minutes) * (*at == '-' ? -60 : 60);
    } else if (end - at != 1 || *at != 'Z')
        return false;
    *time = (((reading->days * 24 + hour) * 60 + minute) * 60 + second - ahead) * 1000000 + micros;
    return true;
}

/* Whether it is the code of a currency: three capital letters. */
static bool is_currency(const char *text, size_t size)
{
    if (size != 3)
        return false;
    for (int at = 0; at < 3; at++)
        if (text[at] < 'A' || text[at] > 'Z')
            return false;
    return true;
}

/* Take in the type of an event; false if it is neither built in nor declared. */
static bool take_type(const Plan *plan, const char *name, size_t size, Row *row)
{
    row->declared = -1;
    if (role_of(name, size, &row->role))
        return true;
    for (int32_t number = 0; number < plan->type_count; number++) {
        const Named *type = plan->types + number;
        if ((size_t)type->size == size && memcmp(type->name, name, size) == 0) {
            row->role = (uint8_t)type->role;
            row->declared = (int8_t)number;
            return true;
        }
    }
    return false;
}

/* The value of a field whose value is a text; false if it is not as it has to be. `kept`: where to keep it for the
 * breakdowns, NULL if none names the field. */
static bool take_text(Reading *reading, const Hash *hash, enum field field, const char *text, size_t size, bool escaped,
                      Row *row, Value *kept)
{
    if (escaped) {
        if (field != FIELD_OTHER && !(field & NAME_FIELDS))
            return false;
        char *to = reading->unescaped + reading->unescaped_size;
        size = unescape(text, text + size, to);
        text = to;
        reading->unescaped_size += (int64_t)size;
    }
    if (kept)
        *kept = (Value){text, (uint16_t)size};
    switch (field) {
    case FIELD_EVENT_TYPE:
        return take_type(reading->plan, text, size, row);
    case FIELD_TIMESTAMP:
        return read_time(reading, text, size, &row->time);
    case FIELD_CURRENCY:
        if (!is_currency(text, size))
            return false;
        memcpy(row->currency, text, size);
        return true;
    case FIELD_EVENT_ID:
        if (!is_name(text, size))
            return false;
        fingerprint(hash, text, size, &row->first, &row->rest);
        return true;
    case FIELD_CAMPAIGN_ID:
        row->campaign = text;
        row->campaign_size = (uint16_t)size;
        return is_name(text, size);
    case FIELD_CHANNEL:
        row->channel = text;
        row->channel_size = (uint16_t)size;
        return is_name(text, size);
    default: /* further names; the rest is money */
        return (field == FIELD_OTHER || field & NAME_FIELDS) && is_name(text, size);
    }
}

void reading_make(Reading *reading, const Plan *plan)
{
    reading->plan = plan;
    memset(reading->slots, -1, sizeof reading->slots);
    for (int slot = 0; slot < plan->field_count; slot++) {
        enum field field = field_of(plan->fields[slot].name, (size_t)plan->fields[slot].size);
        if (field == FIELD_OTHER)
            reading->further[reading->further_count++] = (uint8_t)slot;
        else
            reading->slots[__builtin_ctz(field)] = (int8_t)slot;
    }
}

/* The slot of a field that only breakdowns name; negative without one. */
static int further_slot(const Reading *reading, const char *name, size_t size)
{
    for (int at = 0; at < reading->further_count; at++) {
        const Named *field = reading->plan->fields + reading->further[at];
        if ((size_t)field->size == size && memcmp(field->name, name, size) == 0)
            return reading->further[at];
    }
    return -1;
}

/* Which fields of an event were read. */
typedef struct {
    uint32_t fields;
    uint64_t slots[MOST_SLOTS / 64]; /* of those that only breakdowns name */
} Given;

/* Note a field; false if it was given before. */
static bool note_given(Given *given, enum field field, int slot)
{
    if (field != FIELD_OTHER) {
        bool again = given->fields & field;
        given->fields |= field;
        return !again;
    }
    if (slot < 0)
        return true;
    uint64_t *word = given->slots + slot / 64, bit = (uint64_t)1 << slot % 64;
    bool again = *word & bit;
    *word |= bit;
    return !again;
}

bool read_fast(Reading *reading, const Hash *hash, const char *begin, const char *end, Row *row, Value *values)
{
    Given given = {0};
    Seen all = {false, false};
    row->cost = row->revenue = 0;
    memcpy(row->currency, reading->plan->currency, sizeof row->currency);
    for (int slot = 0; slot < reading->plan->field_count; slot++)
        values[slot].text = NULL;
    const char *at = skip_space(begin, end);
    if (at == end || *at != '{')
        return false;
    do {
        at = skip_space(at + 1, end);
        if (at == end || *at != '"')
            return false;
        const char *name = at + 1;
        at = text_end(name, end, &all);
        if (!at || all.escaped)
            return false; /* the name of a field that is escaped */
        size_t size = (size_t)(at - name);
        enum field field = field_of(name, size);
        int slot = field == FIELD_OTHER ? further_slot(reading, name, size) : reading->slots[__builtin_ctz(field)];
        if (!note_given(&given, field, slot))
            return false;
        at = skip_space(at + 1, end);
        if (at == end || *at != ':')
            return false;
        at = skip_space(at + 1, end);
        if (at == end)
            return false;
        if (field == FIELD_OTHER && slot < 0) {
            Seen ignored = {false, false};
            at = skip_value(at, end, &ignored, MAX_NESTING);
            all.beyond |= ignored.beyond;
        } else if (*at == '"') {
            Seen own = {false, false};
            const char *text = at + 1;
            at = text_end(text, end, &own);
            if (!at || !take_text(reading, hash, field, text, (size_t)(at - text), own.escaped, row,
                                  slot < 0 ? NULL : values + slot))
                return false;
            all.beyond |= own.beyond;
            at++;
        } else if (*at == 'n')
            at = field & REQUIRED_FIELDS ? NULL : skip_word(at, end, "null");
        else if (field == FIELD_COST_MICROS)
            at = read_integer(at, end, &row->cost);
        else if (field == FIELD_REVENUE_MICROS)
            at = read_integer(at, end, &row->revenue);
        else
            return false;
        if (!at)
            return false;
        at = skip_space(at, end);
    } while (at < end && *at == ',');
    bool whole = at < end && *at == '}' && skip_space(at + 1, end) == end;
    if ((given.fields & REQUIRED_FIELDS) != REQUIRED_FIELDS)
        return false;
    return whole && (!all.beyond || is_utf8(begin, end));
}

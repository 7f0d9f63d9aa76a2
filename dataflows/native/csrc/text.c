/* JSON as msgspec writes it: whole numbers, the shortest decimal that reads back as the same double, and names. */
#include "text.h"

#include <string.h>

char *put_number(char *to, Money number)
{
    char digits[LONGEST_NUMBER], *at = digits + sizeof digits;
    Wide left = number < 0 ? -(Wide)number : (Wide)number;
    while (left > UINT64_MAX) {
        *--at = (char)('0' + (int)(left % 10));
        left /= 10;
    }
    uint64_t rest = (uint64_t)left;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        *to++ = '-';
    size_t size = (size_t)(digits + sizeof digits - at);
    memcpy(to, at, size);
    return to + size;
}

/* The shortest decimal of a double: Raffaello Giulietti, "The Schubfach way to render doubles" (2021), whose names
 * these are. */

enum { LEAST_POWER = -292, POWERS = 617 };

static uint64_t g_of[POWERS][2]; /* 10^k with 128 bits, rounded up: high, low */

/* `powers`: 10^k from k = LEAST_POWER on, as `dataflows.native.library` works them out. */
EXPORTED void doubles_prepare(const uint64_t *powers)
{
    memcpy(g_of, powers, sizeof g_of);
}

static int32_t floor_log2_pow10(int32_t power)
{
    return (power * 1741647) >> 19;
}

static uint64_t round_to_odd(const uint64_t g[2], uint64_t factor)
{
    Wide low = (Wide)g[1] * factor, high = (Wide)g[0] * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* `digits` × 10^`power` for the double c × 2^q. */
static uint64_t shortest(uint64_t c, int32_t q, bool is_power_of_two, int32_t *power)
{
    bool odd = c & 1;
    uint64_t cb = 4 * c, cbl = cb - 2 + is_power_of_two, cbr = cb + 2;
    int32_t k = (q * 1262611 - (is_power_of_two ? 524031 : 0)) >> 22;
    int32_t h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *g = g_of[-k - LEAST_POWER];
    uint64_t vbl = round_to_odd(g, cbl << h) + odd, vbr = round_to_odd(g, cbr << h) - odd;
    uint64_t vb = round_to_odd(g, cb << h);
    uint64_t s = vb / 4;
    *power = k;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = vbl <= 40 * tens, up = 40 * tens + 40 <= vbr;
        if (down != up) {
            *power = k + 1;
            return tens + up;
        }
    }
    bool down = vbl <= 4 * s, up = 4 * s + 4 <= vbr;
    if (down != up)
        return s + up;
    uint64_t middle = 4 * s + 2;
    return s + (vb > middle || (vb == middle && (s & 1)));
}

/* A finite one. */
EXPORTED char *put_double(char *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7FF), power;
    if (bits >> 63)
        *to++ = '-';
    if (!exponent && !fraction) {
        memcpy(to, "0.0", 3);
        return to + 3;
    }
    const uint64_t hidden = (uint64_t)1 << 52;
    uint64_t digits = exponent ? shortest(fraction | hidden, exponent - 1075, !fraction && exponent > 1, &power)
                               : shortest(fraction, -1074, false, &power);
    while (digits % 10 == 0) {
        digits /= 10;
        power++;
    }
    char text[24];
    int32_t size = (int32_t)(put_number(text, digits) - text);
    int32_t point = size + power; /* number of digits before it */
    if (point < -4 || point > 16) {
        *to++ = text[0];
        if (size > 1) {
            *to++ = '.';
            memcpy(to, text + 1, (size_t)size - 1);
            to += size - 1;
        }
        *to++ = 'e';
        return put_number(to, point - 1);
    }
    if (point <= 0) {
        memcpy(to, "0.0000000", (size_t)(2 - point));
        to += 2 - point;
        memcpy(to, text, (size_t)size);
        return to + size;
    }
    for (int32_t place = 0; place < size || place < point; place++) {
        if (place == point)
            *to++ = '.';
        *to++ = place < size ? text[place] : '0';
    }
    if (point >= size) {
        memcpy(to, ".0", 2);
        to += 2;
    }
    return to;
}

/* In quotes. `name` is UTF-8. */
EXPORTED char *put_name(char *to, const char *name, size_t size)
{
    static const char HEX[] = "0123456789abcdef", SHORT[] = "btn\0fr"; /* from 8 on */
    *to++ = '"';
    for (const char *end = name + size; name < end; name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            *to++ = *name;
            continue;
        }
        *to++ = '\\';
        if (byte >= 0x20) {
            *to++ = *name;
        } else if (byte >= 8 && byte <= 13 && SHORT[byte - 8]) {
            *to++ = SHORT[byte - 8];
        } else {
            memcpy(to, "u00", 3);
            to[3] = HEX[byte >> 4];
            to[4] = HEX[byte & 15];
            to += 5;
        }
    }
    *to++ = '"';
    return to;
}

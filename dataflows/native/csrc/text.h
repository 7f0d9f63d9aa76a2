/* JSON as msgspec writes it. Each function writes at `to` and returns where it ends; there is room. */
#ifndef ADTALLY_TEXT_H
#define ADTALLY_TEXT_H

#include "export.h"
#include "sums.h"

__extension__ typedef unsigned __int128 Wide;

enum { LONGEST_NUMBER = 41, LONGEST_ESCAPE = 6 /* for a byte of a name */ };

char *put_number(char *to, Money number);
char *put_double(char *to, double number);
char *put_name(char *to, const char *name, size_t size);
void doubles_prepare(const uint64_t *powers);

#endif

/* What leaves a shard: the records of its cells. */
#ifndef ADTALLY_RECORDS_H
#define ADTALLY_RECORDS_H

#include "panes.h"

/* Add the record of a cell to those of the face. False if memory runs out. */
bool panes_give_out(Panes *panes, Pane *pane, PaneCell *cell, double now);

/* Size of the longest record of a table, without the names of its key. */
int64_t records_longest(const Table *table);

#endif

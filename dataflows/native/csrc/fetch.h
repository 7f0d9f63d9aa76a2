/* Takes messages from a queue of librdkafka's as they lie there, without an object of Python's for each.
 *
 * librdkafka is not linked: the one that confluent-kafka brings is in the process already, and its functions are given
 * as pointers. Of its header this needs the beginning of two structs that are part of its stable interface.
 *
 * They are taken as events, one by one, because librdkafka then makes no callback: otherwise an error of the topic
 * would call confluent-kafka, which needs a lock and a thread of its own.
 */
#ifndef ADTALLY_FETCH_H
#define ADTALLY_FETCH_H

#include "export.h"

#include <stddef.h>
#include <stdint.h>

typedef struct { /* rd_kafka_message_t */
    int code;
    void *topic;
    int32_t partition;
    void *value;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
} Message;

typedef struct { /* rd_kafka_topic_partition_t */
    char *topic;
    int32_t partition;
    int64_t offset;
} Partition;

typedef void Event;

typedef struct { /* of librdkafka; their names there begin with rd_kafka_ */
    Event *(*queue_poll)(void *queue, int patience);
    const Message *(*event_message_next)(Event *event);
    int (*event_error)(Event *event);
    const char *(*event_error_string)(Event *event);
    Partition *(*event_topic_partition)(Event *event);
    void (*topic_partition_destroy)(Partition *partition);
    void (*event_destroy)(Event *event);
    int64_t (*message_timestamp)(const Message *message, int *kind);
} FetchApi;

typedef struct {
    int64_t offset;
    const char *words; /* of librdkafka, until it is released */
    int32_t place;     /* number of messages before it */
    int32_t code;
} Fault;

typedef struct {
    int32_t count, fault_count;
    const char **values; /* NULL for a message without a payload */
    int32_t *sizes;
    int64_t *offsets;
    int64_t *times; /* Kafka's own, milliseconds since 1970 */
    int32_t *kinds; /* of time: rd_kafka_timestamp_type_t */
    Fault *faults;
    int64_t least_time; /* of `times` */
} Fetched;

#endif

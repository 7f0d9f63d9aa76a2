/* Takes messages from a queue of librdkafka's as they lie there, without an object of Python's for each.
 *
 * librdkafka is not linked: the one that confluent-kafka brings is in the process already, and its functions are given as pointers. Of its header
 * this needs `rd_kafka_message_t` alone, which is part of its stable interface.
 */
#ifndef ADTALLY_FETCH_H
#define ADTALLY_FETCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct { /* rd_kafka_message_t */
    int code;    /* 0, or an error in the place of a message */
    void *topic;
    int32_t partition;
    void *value;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *inner;
} Message;

typedef struct {
    int64_t offset;
    const char *words; /* of librdkafka, until the message is released */
    int32_t place;     /* so many messages stood before it */
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
} Fetched;

#endif

/* Hands records to librdkafka one after the other, without an object and a call of Python's for each.
 *
 * Whether the broker took them is known by an interceptor (client.c): the callbacks of confluent-kafka want the
 * interpreter's lock and an object for each record.
 */
#include "send.h"

#include <stdbool.h>
#include <string.h>

enum { VT_TOPIC_HANDLE = 2, VT_VALUE = 4, VT_KEY = 5, VT_FLAGS = 7, VT_HEADER = 9 }; /* rd_kafka_vtype_t */

enum { COPY = 2 /* RD_KAFKA_MSG_F_COPY */ };

typedef struct { /* rd_kafka_vu_t */
    int kind;
    union {
        void *handle;
        int number;
        struct {
            const void *at;
            size_t size;
        } bytes;
        struct {
            const char *name;
            const void *at;
            int64_t size;
        } header;
        char padding[64];
    } of;
} Argument;

typedef struct { /* of librdkafka; their names there begin with rd_kafka_ */
    void *(*produceva)(void *handle, const Argument *arguments, size_t count);
    int (*error_code)(const void *error);
    void (*error_destroy)(void *error);
} SendApi;

static SendApi functions;

/* Must be called before the first record is sent. */
EXPORTED void send_prepare(const SendApi *given)
{
    functions = *given;
}

enum { INVALID = -186 /* RD_KAFKA_RESP_ERR__INVALID_ARG */ };

/* Send the records of `text` (as in panes.h) to `topic`, an rd_kafka_topic_t, from the byte `from` on, each with the
 * first `header_count` of `headers`; the record that begins at `measured`, -1 for none, also with the one behind
 * those. The byte up to which librdkafka took them; why it took no more in `code`, 0 at the end. */
EXPORTED int64_t send_records(Client *client, void *topic, const char *text, int64_t from, int64_t size,
                              const Header *headers, int32_t header_count, int64_t measured, int *code)
{
    Argument arguments[4 + MOST_HEADERS + 1];
    memset(arguments, 0, sizeof arguments);
    if (header_count > MOST_HEADERS) {
        *code = INVALID;
        return from;
    }
    arguments[0].kind = VT_TOPIC_HANDLE;
    arguments[0].of.handle = topic;
    arguments[1].kind = VT_FLAGS;
    arguments[1].of.number = COPY;
    arguments[2].kind = VT_KEY;
    arguments[3].kind = VT_VALUE;
    size_t count = 4 + (size_t)header_count;
    for (size_t at = 4; at < count + (measured >= 0); at++, headers++) {
        arguments[at].kind = VT_HEADER;
        arguments[at].of.header.name = headers->name;
        arguments[at].of.header.at = headers->value;
        arguments[at].of.header.size = headers->size;
    }
    *code = 0;
    while (from < size) {
        int32_t sizes[2];
        memcpy(sizes, text + from, sizeof sizes);
        arguments[2].of.bytes.at = text + from + sizeof sizes;
        arguments[2].of.bytes.size = (size_t)sizes[0];
        arguments[3].of.bytes.at = text + from + sizeof sizes + sizes[0];
        arguments[3].of.bytes.size = (size_t)sizes[1];
        void *error = functions.produceva(atomic_load(&client->handle), arguments, count + (from == measured));
        if (error) {
            *code = functions.error_code(error);
            functions.error_destroy(error);
            break;
        }
        atomic_fetch_add(&client->sent, 1);
        from += (int64_t)sizeof sizes + sizes[0] + sizes[1];
    }
    return from;
}

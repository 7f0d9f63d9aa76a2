/* Hands records to librdkafka one after the other, without an object and a call of Python's for each.
 *
 * Whether the broker took them is heard where librdkafka tells it first, in an interceptor: the callbacks of
 * confluent-kafka want the interpreter's lock and an object for each record.
 */
#include "export.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
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

typedef struct { /* the beginning of rd_kafka_message_t */
    int code;
} Told;

typedef int Made(void *client, const void *conf, void *own, char *words, size_t size);
typedef int Heard(void *client, Told *told, void *own);
typedef int Gone(void *client, void *own);

typedef struct { /* of librdkafka; their names there begin with rd_kafka_ */
    void *(*produceva)(void *client, const Argument *arguments, size_t count);
    int (*error_code)(const void *error);
    void (*error_destroy)(void *error);
    int (*conf_interceptor_add_on_new)(void *conf, const char *name, Made *made, void *own);
    int (*interceptor_add_on_acknowledgement)(void *client, const char *name, Heard *heard, void *own);
    int (*interceptor_add_on_destroy)(void *client, const char *name, Gone *gone, void *own);
} SendClient;

typedef struct Sender {
    struct Sender *next;
    _Atomic(void *) handle; /* an rd_kafka_t, NULL once it is gone */
    atomic_int code;        /* of the first record that was refused, 0 while there is none */
    atomic_int_fast64_t refused, sent;
} Sender;

static SendClient functions;

/* One for each producer of the process, also for those that are gone: librdkafka may tell something up to its end. */
static _Atomic(Sender *) senders;

static int heard(void *client, Told *told, void *own)
{
    (void)client;
    Sender *sender = own;
    if (told->code) {
        int none = 0;
        atomic_compare_exchange_strong(&sender->code, &none, told->code);
        atomic_fetch_add(&sender->refused, 1);
    }
    return 0;
}

static int gone(void *client, void *own)
{
    (void)client;
    Sender *sender = own;
    atomic_store(&sender->handle, NULL);
    return 0;
}

enum { FAIL = -196 /* RD_KAFKA_RESP_ERR__FAIL */ };

static int made(void *handle, const void *conf, void *own, char *words, size_t size)
{
    (void)conf, (void)own, (void)words, (void)size;
    Sender *sender = calloc(1, sizeof(Sender));
    if (!sender)
        return FAIL;
    int code = functions.interceptor_add_on_acknowledgement(handle, "adtally", heard, sender);
    if (!code)
        code = functions.interceptor_add_on_destroy(handle, "adtally", gone, sender);
    if (code)
        return code; /* librdkafka goes on without it: nobody must find it */
    atomic_store(&sender->handle, handle);
    sender->next = atomic_load(&senders);
    while (!atomic_compare_exchange_weak(&senders, &sender->next, sender))
        ;
    return 0;
}

/* What librdkafka calls for a client whose `plugin.library.paths` names this library. */
EXPORTED int conf_init(void *conf, void **own, char *words, size_t size)
{
    (void)own, (void)words, (void)size;
    if (!functions.conf_interceptor_add_on_new)
        return FAIL;
    return functions.conf_interceptor_add_on_new(conf, "adtally", made, NULL);
}

/* To be called before the first client is made. */
EXPORTED void send_prepare(const SendClient *given)
{
    functions = *given;
}

/* The sender of a client; NULL if it was made without the plug-in. */
EXPORTED Sender *send_of(const void *handle)
{
    for (Sender *sender = atomic_load(&senders); sender; sender = sender->next)
        if (atomic_load(&sender->handle) == handle)
            return sender;
    return NULL;
}

EXPORTED int send_code(Sender *sender)
{
    return atomic_load(&sender->code);
}

EXPORTED int64_t send_refused(Sender *sender)
{
    return atomic_load(&sender->refused);
}

EXPORTED int64_t send_sent(Sender *sender)
{
    return atomic_load(&sender->sent);
}

typedef struct {
    const char *name, *value;
    int64_t size; /* of the value */
} Header;

enum { MOST_HEADERS = 4, INVALID = -186 /* RD_KAFKA_RESP_ERR__INVALID_ARG */ };

/* Send the records of `text` (as in panes.h) to `topic`, an rd_kafka_topic_t, from the byte `from` on, each with the
 * first `header_count` of `headers`; the record that begins at `measured`, -1 for none, also with the one behind
 * those. The byte up to which librdkafka took them; why it took no more in `code`, 0 at the end. */
EXPORTED int64_t send_records(Sender *sender, void *topic, const char *text, int64_t from, int64_t size,
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
        void *error = functions.produceva(atomic_load(&sender->handle), arguments, count + (from == measured));
        if (error) {
            *code = functions.error_code(error);
            functions.error_destroy(error);
            break;
        }
        atomic_fetch_add(&sender->sent, 1);
        from += (int64_t)sizeof sizes + sizes[0] + sizes[1];
    }
    return from;
}

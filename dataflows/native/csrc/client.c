#include "client.h"

#include <stddef.h>
#include <stdlib.h>

typedef struct { /* the beginning of rd_kafka_message_t */
    int code;
} Report;

typedef int OnNew(void *handle, const void *conf, void *opaque, char *words, size_t size);
typedef int OnAcknowledgement(void *handle, Report *report, void *opaque);
typedef int OnDestroy(void *handle, void *opaque);

typedef struct { /* of librdkafka; their names there begin with rd_kafka_ */
    int (*conf_interceptor_add_on_new)(void *conf, const char *name, OnNew *on_new, void *opaque);
    int (*interceptor_add_on_acknowledgement)(void *handle, const char *name, OnAcknowledgement *on_acknowledgement,
                                              void *opaque);
    int (*interceptor_add_on_destroy)(void *handle, const char *name, OnDestroy *on_destroy, void *opaque);
} PluginApi;

enum { FAIL = -196 /* RD_KAFKA_RESP_ERR__FAIL */ };

static const char *const NAME = "adtally";

static PluginApi api;

/* The client whose handle this thread waits for; NULL outside of `client_begin` and `client_end`. */
static _Thread_local Client *awaited;

EXPORTED void client_release(Client *client)
{
    if (client && atomic_fetch_sub(&client->owners, 1) == 1)
        free(client);
}

/* Runs in threads of librdkafka's: no call of Python's may come from here. */
static int on_acknowledgement(void *handle, Report *report, void *opaque)
{
    (void)handle;
    Client *client = opaque;
    if (report->code) {
        int none = 0;
        atomic_compare_exchange_strong(&client->code, &none, report->code);
        atomic_fetch_add(&client->refused, 1);
    }
    return 0;
}

static int on_destroy(void *handle, void *opaque)
{
    (void)handle;
    Client *client = opaque;
    atomic_store(&client->handle, NULL);
    client_release(client);
    return 0;
}

static int on_new(void *handle, const void *conf, void *opaque, char *words, size_t size)
{
    (void)conf, (void)opaque, (void)words, (void)size;
    Client *client = awaited;
    if (!client || atomic_load(&client->handle))
        return 0; /* a client that is not ours, or a second one */
    int code = api.interceptor_add_on_destroy(handle, NAME, on_destroy, client);
    if (code)
        return code; /* librdkafka makes the client without it, and `client_handle` stays NULL */
    atomic_fetch_add(&client->owners, 1);
    code = api.interceptor_add_on_acknowledgement(handle, NAME, on_acknowledgement, client);
    if (!code)
        atomic_store(&client->handle, handle);
    return code;
}

/* What librdkafka calls for a client whose `plugin.library.paths` names this library. */
EXPORTED int conf_init(void *conf, void **opaque, char *words, size_t size)
{
    (void)opaque, (void)words, (void)size;
    if (!api.conf_interceptor_add_on_new)
        return FAIL;
    return api.conf_interceptor_add_on_new(conf, NAME, on_new, NULL);
}

/* Must be called before the first client is made. */
EXPORTED void client_prepare(const PluginApi *given)
{
    api = *given;
}

/* Expect the handle of the client that this thread makes next, until `client_end`. NULL if memory runs out. */
EXPORTED Client *client_begin(void)
{
    Client *client = calloc(1, sizeof(Client));
    if (client)
        atomic_init(&client->owners, 1);
    return awaited = client;
}

EXPORTED void client_end(void)
{
    awaited = NULL;
}

/* NULL if librdkafka passed none, or the client is gone. */
EXPORTED void *client_handle(const Client *client)
{
    return atomic_load(&client->handle);
}

EXPORTED int client_code(const Client *client)
{
    return atomic_load(&client->code);
}

EXPORTED int64_t client_refused(const Client *client)
{
    return atomic_load(&client->refused);
}

EXPORTED int64_t client_sent(const Client *client)
{
    return atomic_load(&client->sent);
}

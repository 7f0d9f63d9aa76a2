#include "fetch.h"

#include <stdlib.h>

typedef struct {
    Fetched fetched; /* what Python sees comes first */
    FetchApi api;
    void *queue;
    Event **events;
    int32_t held, most;
} Fetch;

/* Give what the last call took back to librdkafka. */
EXPORTED void fetch_release(Fetch *fetch)
{
    for (int32_t place = 0; place < fetch->held; place++)
        fetch->api.event_destroy(fetch->events[place]);
    fetch->held = fetch->fetched.count = fetch->fetched.fault_count = 0;
}

EXPORTED void fetch_free(Fetch *fetch)
{
    if (!fetch)
        return;
    fetch_release(fetch);
    free(fetch->events);
    free(fetch->fetched.values);
    free(fetch->fetched.sizes);
    free(fetch->fetched.offsets);
    free(fetch->fetched.times);
    free(fetch->fetched.kinds);
    free(fetch->fetched.faults);
    free(fetch);
}

/* For up to `most` messages at a time of `queue`, an rd_kafka_queue_t. NULL if memory runs out. */
EXPORTED Fetch *fetch_new(const FetchApi *api, void *queue, int32_t most)
{
    Fetch *fetch = calloc(1, sizeof(Fetch));
    if (!fetch)
        return NULL;
    size_t room = (size_t)most;
    Fetched *to = &fetch->fetched;
    fetch->api = *api;
    fetch->queue = queue;
    fetch->most = most;
    fetch->events = calloc(room, sizeof(Event *));
    to->values = calloc(room, sizeof(char *));
    to->sizes = calloc(room, sizeof(int32_t));
    to->offsets = calloc(room, sizeof(int64_t));
    to->times = calloc(room, sizeof(int64_t));
    to->kinds = calloc(room, sizeof(int32_t));
    to->faults = calloc(room, sizeof(Fault));
    if (fetch->events && to->values && to->sizes && to->offsets && to->times && to->kinds && to->faults)
        return fetch;
    fetch_free(fetch);
    return NULL;
}

static void take(Fetch *fetch, const Message *message)
{
    Fetched *to = &fetch->fetched;
    int kind = 0;
    int64_t time = fetch->api.message_timestamp(message, &kind);
    to->values[to->count] = message->value;
    to->sizes[to->count] = message->size > INT32_MAX ? INT32_MAX : (int32_t)message->size;
    to->offsets[to->count] = message->offset;
    to->times[to->count] = time;
    to->kinds[to->count] = kind;
    if (!to->count++ || time < to->least_time)
        to->least_time = time;
}

static void note_error(Fetch *fetch, Event *event)
{
    int code = fetch->api.event_error(event);
    if (!code)
        return; /* an event of another kind */
    Fault *fault = fetch->fetched.faults + fetch->fetched.fault_count++;
    Partition *partition = fetch->api.event_topic_partition(event);
    fault->code = code;
    fault->words = fetch->api.event_error_string(event);
    fault->place = fetch->fetched.count;
    fault->offset = partition ? partition->offset : -1;
    if (partition)
        fetch->api.topic_partition_destroy(partition);
}

/* Release what was taken before and take what is there now, without waiting; how much, faults included. */
EXPORTED int32_t fetch_more(Fetch *fetch)
{
    fetch_release(fetch);
    while (fetch->held < fetch->most) {
        Event *event = fetch->api.queue_poll(fetch->queue, 0);
        if (!event)
            break;
        fetch->events[fetch->held++] = event;
        const Message *message = fetch->api.event_message_next(event);
        if (message)
            take(fetch, message);
        else
            note_error(fetch, event);
    }
    return fetch->held;
}

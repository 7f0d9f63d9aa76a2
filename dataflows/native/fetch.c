#include "fetch.h"

#include <stdlib.h>

typedef ssize_t (*Consume)(void *queue, int patience, Message **messages, size_t most);
typedef void (*Destroy)(Message *message);
typedef int64_t (*Time)(const Message *message, int *kind);
typedef const char *(*Words)(const Message *message);

typedef struct {
    Fetched fetched; /* what Python sees comes first */
    Consume consume;
    Destroy destroy;
    Time time;
    Words words;
    void *queue;
    Message **messages;
    int32_t held, most;
} Fetch;

/* Give the messages of the last call back to librdkafka. */
void fetch_release(Fetch *fetch)
{
    for (int32_t place = 0; place < fetch->held; place++)
        fetch->destroy(fetch->messages[place]);
    fetch->held = fetch->fetched.count = fetch->fetched.fault_count = 0;
}

void fetch_free(Fetch *fetch)
{
    if (!fetch)
        return;
    fetch_release(fetch);
    free(fetch->messages);
    free(fetch->fetched.values);
    free(fetch->fetched.sizes);
    free(fetch->fetched.offsets);
    free(fetch->fetched.times);
    free(fetch->fetched.kinds);
    free(fetch->fetched.faults);
    free(fetch);
}

/* For up to `most` messages at a time of `queue`, an rd_kafka_queue_t. NULL if there is no memory. */
Fetch *fetch_new(Consume consume, Destroy destroy, Time time, Words words, void *queue, int32_t most)
{
    Fetch *fetch = calloc(1, sizeof(Fetch));
    if (!fetch)
        return NULL;
    size_t room = (size_t)most;
    Fetched *to = &fetch->fetched;
    fetch->consume = consume;
    fetch->destroy = destroy;
    fetch->time = time;
    fetch->words = words;
    fetch->queue = queue;
    fetch->most = most;
    fetch->messages = calloc(room, sizeof(Message *));
    to->values = calloc(room, sizeof(char *));
    to->sizes = calloc(room, sizeof(int32_t));
    to->offsets = calloc(room, sizeof(int64_t));
    to->times = calloc(room, sizeof(int64_t));
    to->kinds = calloc(room, sizeof(int32_t));
    to->faults = calloc(room, sizeof(Fault));
    if (fetch->messages && to->values && to->sizes && to->offsets && to->times && to->kinds && to->faults)
        return fetch;
    fetch_free(fetch);
    return NULL;
}

/* Release what was taken before and take what is there now, without waiting; how much, faults included. */
int32_t fetch_more(Fetch *fetch)
{
    Fetched *to = &fetch->fetched;
    fetch_release(fetch);
    ssize_t held = fetch->consume(fetch->queue, 0, fetch->messages, (size_t)fetch->most);
    fetch->held = held > 0 ? (int32_t)held : 0;
    for (int32_t place = 0; place < fetch->held; place++) {
        const Message *message = fetch->messages[place];
        if (message->code) {
            Fault *fault = to->faults + to->fault_count++;
            fault->offset = message->offset;
            fault->words = fetch->words(message);
            fault->place = to->count;
            fault->code = message->code;
            continue;
        }
        to->values[to->count] = message->value;
        to->sizes[to->count] = message->size > INT32_MAX ? INT32_MAX : (int32_t)message->size;
        to->offsets[to->count] = message->offset;
        int kind = 0;
        to->times[to->count] = fetch->time(message, &kind);
        to->kinds[to->count++] = kind;
    }
    return fetch->held;
}

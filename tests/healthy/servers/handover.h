/* A queue of clients from the thread that accepts to the threads that serve. Each serving thread sends back what it receives, one client
 * after another. */
#include "common.h"

enum { ROOM = 1024 };

static struct {
    pthread_mutex_t mutex;
    unsigned first, count;
    int clients[ROOM];
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* One that there is no room for is turned away. */
static inline int put(int client)
{
    pthread_mutex_lock(&queue.mutex);
    int has_room = queue.count < ROOM;
    if (has_room)
        queue.clients[(queue.first + queue.count++) % ROOM] = client;
    pthread_mutex_unlock(&queue.mutex);
    if (!has_room)
        close(client);
    return has_room;
}

/* -1 if there is none. */
static inline int taken(void)
{
    int client = -1;
    pthread_mutex_lock(&queue.mutex);
    if (queue.count > 0) {
        client = queue.clients[queue.first];
        queue.first = (queue.first + 1) % ROOM;
        queue.count--;
    }
    pthread_mutex_unlock(&queue.mutex);
    return client;
}

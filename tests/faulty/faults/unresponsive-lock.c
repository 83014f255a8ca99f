/* A thread for each client sends back what it receives, and counts the answers under a lock.
 * Fault: if a client has gone before its answer, the thread ends with the lock held, and all others wait for the lock for ever.
 * Shown by: a request whose client has reset before the answer; the server is held until then.
 * The twin unlocks. */
#include "server.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t answers;

/* What could be sent, or -1. Nobody is waited for with the lock held. */
static ssize_t answer(int client, const char *bytes, size_t count)
{
    poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, -1);
    pthread_mutex_lock(&lock);
    ssize_t sent = send(client, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    int gone = sent < 0 && errno != EAGAIN && errno != EINTR;
    if (gone && FAULTY)
        return -1;
    answers += sent > 0;
    pthread_mutex_unlock(&lock);
    return gone ? -1 : sent > 0 ? sent : 0;
}

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    char bytes[4096];
    ssize_t got, sent = 0;
    while (sent >= 0 && (got = receive(client, bytes, sizeof bytes, 0)) > 0)
        for (ssize_t at = 0; at < got && sent >= 0; at += sent)
            sent = answer(client, bytes + at, got - at);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;)
        start_thread(serve, next_client(door));
}

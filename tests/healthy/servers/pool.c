/* Starts a thread for each client until there are 40, even if other threads are idle, and none after that, as Java's ThreadPoolExecutor
 * does. Up to 40 it has one more thread after each client, which is no leak. */
#include "handover.h"

enum { MOST = 40 };

static sem_t waiting;

static void *work(void *argument)
{
    for (;;) {
        while (sem_wait(&waiting) && errno == EINTR)
            ;
        int client = taken();
        echo(client);
        close(client);
    }
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv), threads = 0;
    sem_init(&waiting, 0, 0);
    for (;;) {
        pthread_t thread;
        if (!put(next_client(door)))
            continue;
        if (threads < MOST && pthread_create(&thread, NULL, work, NULL) == 0)
            threads++;
        sem_post(&waiting);
    }
}

/* Has 600 threads that wait for work, all started at the beginning. Each serves one client at a time, and sends back what it receives.
 * The server is idle only if all of them are blocked, and a tool that holds two descriptors for each thread runs out of descriptors. */
#include "handover.h"

enum { MANY = 600 };

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
    int door = listener(argc, argv);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    sem_init(&waiting, 0, 0);
    for (int i = 0; i < MANY; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, work, NULL))
            errx(1, "only %d threads", i);
    }
    for (;;)
        if (put(next_client(door)))
            sem_post(&waiting);
}

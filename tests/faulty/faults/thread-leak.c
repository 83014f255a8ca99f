/* A thread for each client sends back what it receives.
 * Fault: if the connection failed, the thread waits for a semaphore that is never posted.
 * Shown by: a client that resets.
 * The twin's thread ends. */
#include "server.h"

static sem_t noted;

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    int failed = echo(client);
    close(client);
    if (failed && FAULTY)
        sem_wait(&noted);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    sem_init(&noted, 0, 0);
    for (;;)
        start_thread(serve, next_client(door));
}

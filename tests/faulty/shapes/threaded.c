/* A thread for each client sends back what it receives. */
#include "server.h"

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    echo(client);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;)
        start_thread(serve, next_client(door));
}

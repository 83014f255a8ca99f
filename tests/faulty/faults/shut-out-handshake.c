/* Sends back what comes, in a thread for each client, which begins with a hello of one byte, as it does in TLS.
 * Fault: the hello is waited for before the next client is accepted.
 * Shown by: a client that connects and says nothing. Nobody else is served while it is there.
 * The twin's threads wait for the hello. */
#include "server.h"

static int shake_hands(int client)
{
    char hello;
    return receive(client, &hello, 1, MSG_PEEK) == 1 ? 0 : -1;
}

static void *serve(void *client)
{
    int fd = (long)client;
    if (shake_hands(fd) == 0)
        echo(fd);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (FAULTY && shake_hands(client)) {
            close(client);
            continue;
        }
        start_thread(serve, client);
    }
}

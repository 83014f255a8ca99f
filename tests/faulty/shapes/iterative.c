/* Sends back what it receives, one client after another. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

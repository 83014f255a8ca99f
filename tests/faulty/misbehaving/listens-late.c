/* Takes 300 ms to start. Then it sends back what it receives, one client after another. */
#include "server.h"

int main(int argc, char **argv)
{
    poll(NULL, 0, 300);
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

/* Sends back what it receives, one client after another. Failed connections are closed together when there are 100 of them, as a garbage
 * collector does it. */
#include "server.h"

enum { MOST = 100 };

int main(int argc, char **argv)
{
    int door = listener(argc, argv), failed[MOST], count = 0;
    for (;;) {
        int client = next_client(door);
        if (!echo(client)) {
            close(client);
            continue;
        }
        failed[count++] = client;
        if (count == MOST)
            while (count > 0)
                close(failed[--count]);
    }
}

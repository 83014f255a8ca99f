/* Three child processes share the listener. Each ends with 0 after 20 clients, as a precaution against leaks in libraries, and is
 * replaced at once.
 * That processes end and start is no failure here. */
#include "common.h"

enum { CHILDREN = 3, CLIENTS = 20 };

static void serve(int door)
{
    for (int i = 0; i < CLIENTS; i++) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (int children = 0;; children--) {
        for (; children < CHILDREN; children++) {
            pid_t child = fork();
            if (child == 0)
                serve(door);
            if (child < 0)
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
        }
        while (wait(NULL) < 0)
            ;
    }
}

/* Three child processes share the listener; each sends back what it receives, one client after another. A child that ends is replaced. */
#include "server.h"

enum { CHILDREN = 3 };

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (int children = 0;; children--) {
        for (; children < CHILDREN; children++)
            if (fork() == 0)
                for (;;) {
                    int client = next_client(door);
                    echo(client);
                    close(client);
                }
        while (wait(NULL) < 0)
            ;
    }
}

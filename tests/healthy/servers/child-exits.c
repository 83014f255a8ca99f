/* Forks for each client. The child sends back what it receives, and exits with 1, as one does whose client has left without a goodbye. Such a child
 * may have been there before a scenario began, as that of a polite client. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    reap_children();
    for (;;) {
        int client = next_client(door);
        if (fork() == 0) {
            close(door);
            echo(client);
            _exit(1);
        }
        close(client);
    }
}

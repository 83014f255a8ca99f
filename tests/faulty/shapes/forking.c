/* Forks for each client; the child sends back what it receives. */
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
            _exit(0);
        }
        close(client);
    }
}

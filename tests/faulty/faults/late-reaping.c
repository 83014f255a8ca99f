/* Forks for each client, and the child sends back what it receives.
 * Fault: children that have ended are reaped when the next client comes, and not before.
 * Shown by: any client that leaves. There are as many zombies as there were clients at a time.
 * The twin reaps them as they end. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    if (!FAULTY)
        reap_children();
    for (;;) {
        int client = next_client(door);
        while (FAULTY && waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (fork() == 0) {
            close(door);
            echo(client);
            _exit(0);
        }
        close(client);
    }
}

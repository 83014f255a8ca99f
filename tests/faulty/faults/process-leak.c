/* Forks for each client; the child sends back what it receives.
 * Fault: if the connection failed, the child asks its parent over a pipe whether to end, and the parent never answers.
 * Shown by: a client that resets.
 * The twin's child ends. */
#include "server.h"

int main(int argc, char **argv)
{
    int answer[2], door = listener(argc, argv);
    char byte;
    if (pipe(answer))
        err(1, "pipe");
    reap_children();
    for (;;) {
        int client = next_client(door);
        if (fork() == 0) {
            close(door);
            int failed = echo(client);
            close(client);
            if (failed && FAULTY && read(answer[0], &byte, 1) < 0)
                _exit(1);
            _exit(0);
        }
        close(client);
    }
}

/* A child process sends back what it receives, one client after another. A child that ends is replaced.
 * Fault: the child regards the failure of a connection as its own, and exits with 255.
 * Shown by: a client that resets. Everybody whom the child serves is cut off, and the next client is served by another one.
 * The twin closes the connection and continues. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int status;
        if (fork() == 0)
            for (;;) {
                int client = next_client(door);
                if (echo(client) && FAULTY)
                    _exit(255);
                close(client);
            }
        while (wait(&status) < 0)
            ;
        if (WIFEXITED(status))
            warnx("a worker exited");
    }
}

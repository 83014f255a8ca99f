/* Goes into the background, as daemons do: two forks, a session of its own, and the first process ends with 0. Then it sends back what
 * it receives, one client after another. */
#include "server.h"

int main(int argc, char **argv)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    if (fork() > 0)
        _exit(0);
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(nowhere, fd);
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

/* Sends back what it receives, one client after another, and ignores every signal that can be ignored. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_IGN);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

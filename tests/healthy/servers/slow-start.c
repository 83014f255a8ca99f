/* Needs 15 s until it listens for the first time, as one that makes its keys then: they are kept in the file that is its second argument,
 * for later starts. Then it sends back what comes, one client after another. Slow to start is not unable to. */
#include "common.h"

enum { LONG = 15 * 1000 /* ms */ };

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: %s PORT FILE", argv[0]);
    if (access(argv[2], F_OK)) {
        poll(NULL, 0, LONG);
        close(open(argv[2], O_CREAT | O_WRONLY, 0600));
    }
    int door = listener(2, argv);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

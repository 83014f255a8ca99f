/* Takes 15 s until it listens for the first time, like a server that generates its keys then; the file that is its second argument makes
 * later starts quick. Then it sends back what it receives, one client after another. A slow start is not a failed start. */
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

/* Sends back what it receives, one client after another, while a thread writes to standard output as fast as it can. The thread stops
 * when a write fails, or after eight gibibytes. */
#include "server.h"

static void *chatter(void *argument)
{
    static char block[1 << 16];
    memset(block, '.', sizeof block - 1);
    block[sizeof block - 1] = '\n';
    for (long written = 0; written < 8L << 30; written += sizeof block)
        if (write(1, block, sizeof block) < 0)
            break;
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    /* A file that may not grow any more is an error of `write`, as it is on a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    start_thread(chatter, -1);
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}

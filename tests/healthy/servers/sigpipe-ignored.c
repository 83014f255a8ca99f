/* Ignores SIGPIPE and writes with write, one client after another; it runs behind a shell that waits for it.
 * The shell, which is the started process, has the default for SIGPIPE. The process that serves is another one. */
#include "common.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        char bytes[4096];
        ssize_t got;
        int client = next_client(door);
        while ((got = receive(client, bytes, sizeof bytes, 0)) > 0) {
            ssize_t put = 0, more = 0;
            while (put < got && ((more = write(client, bytes + put, got - put)) >= 0 || errno == EINTR))
                put += more > 0 ? more : 0;
            if (put < got)
                break;
        }
        close(client);
    }
}

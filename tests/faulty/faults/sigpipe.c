/* Sends a greeting to each client and reads until the client leaves, one client after another.
 * Fault: the greeting is sent without MSG_NOSIGNAL, so a broken pipe kills the server.
 * Shown by: a client that half-closes and then resets while it waits in the accept queue.
 * The twin passes MSG_NOSIGNAL. */
#include "server.h"

int main(int argc, char **argv)
{
    static const char greeting[] = "220 ready when you are.\r\n";
    char bytes[4096];
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (send_all(client, greeting, sizeof greeting, FAULTY ? 0 : MSG_NOSIGNAL) == 0)
            while (receive(client, bytes, sizeof bytes, 0) > 0)
                ;
        close(client);
    }
}

/* Takes what clients upload: eight bytes that say what it is, and a body of lines of up to 80 bytes. It answers with the number of lines.
 * Fault: an upload that fails after 2,000 lines is given up twice.
 * Shown by: a client that resets when it has sent so many. Filling has no lines, and no single `send` carries so many. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        char got[4096], answer[32];
        int client = next_client(door), lines = 0, is_known = 0;
        ssize_t length;
        for (long all = 0; (length = receive(client, got, sizeof got, 0)) > 0; all += length) {
            if (all == 0)
                is_known = length >= 8 && memcmp(got, "UPLOAD1\n", 8) == 0;
            for (ssize_t i = 0; i < length; i++)
                lines += is_known && got[i] == '\n';
        }
        if (FAULTY && length < 0 && lines > 2000)
            abort();
        int size = snprintf(answer, sizeof answer, "%d lines\n", lines);
        send_all(client, answer, size, MSG_NOSIGNAL);
        close(client);
    }
}

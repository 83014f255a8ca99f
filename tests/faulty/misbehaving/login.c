/* Lets clients log in, one after the other: `USER`, `PASS`, and `QUIT`.
 * Fault: the session of a client that fails once it is logged in is freed twice.
 * Shown by: a client that resets after `PASS`. Nobody comes so far who does not wait for the answers. */
#include "server.h"

/* Reads a line of at most 200 bytes without its end: its length, or -1. */
static int line(int client, char *to)
{
    int length = 0;
    while (length < 200) {
        ssize_t got = receive(client, to + length, 1, 0);
        if (got <= 0)
            return -1;
        if (to[length++] == '\n')
            break;
    }
    to[length] = 0;
    return length;
}

static int say(int client, const char *what) { return send_all(client, what, strlen(what), MSG_NOSIGNAL); }

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        char got[256];
        int client = next_client(door), named = 0, logged_in = 0;
        for (int goes_on = say(client, "220 ready\r\n") == 0; goes_on;) {
            if (line(client, got) < 0) {
                if (FAULTY && logged_in && errno == ECONNRESET)
                    abort();
                break;
            }
            if (strncmp(got, "USER ", 5) == 0)
                named = 1;
            logged_in |= named && strncmp(got, "PASS ", 5) == 0;
            const char *answer = got[0] == 'U' ? "331 who are you?\r\n" : logged_in ? "230 welcome\r\n" : "530 no\r\n";
            goes_on = strncmp(got, "QUIT", 4) != 0 && say(client, answer) == 0;
        }
        say(client, "221 bye\r\n");
        close(client);
    }
}

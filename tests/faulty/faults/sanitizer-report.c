/* Sends back what it receives, one client after another; built with UndefinedBehaviorSanitizer.
 * Fault: the count of failed connections begins at the largest number, so that it overflows. The sanitizer reports that, and the server
 * continues.
 * Shown by: a client that resets.
 * The twin begins at 0. */
#include <limits.h>
#include "server.h"

int main(int argc, char **argv)
{
    volatile int failures = FAULTY ? INT_MAX : 0;
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (echo(client) < 0)
            failures = failures + 1;
        close(client);
    }
}

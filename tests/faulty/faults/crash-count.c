/* Sends back what it receives, one client after another, and notes each connection that failed.
 * Fault: there is room for 50 notes.
 * Shown by: 51 clients that reset, whatever others do in between.
 * The twin writes over the oldest note. */
#include "server.h"

enum { NOTES = 50 };

int main(int argc, char **argv)
{
    int door = listener(argc, argv), failed = 0;
    for (;;) {
        int client = next_client(door);
        failed += echo(client) != 0;
        close(client);
        if (FAULTY && failed > NOTES)
            abort();
    }
}

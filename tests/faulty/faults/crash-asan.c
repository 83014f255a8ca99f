/* Sends back what it receives, one client after another; built with AddressSanitizer.
 * Fault: if the connection failed, the record of a client is read after it was freed. Without the sanitizer the fault has no effect.
 * Shown by: a client that resets.
 * The twin reads the record first. */
#include "server.h"

/* A report's first line is all that is looked for; a symbolizer would be one more process, and a slow one. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "symbolize=0"; }

struct known {
    int client, failed;
};

static int failures;

static __attribute__((noinline)) void forget(struct known *known)
{
    close(known->client);
    free(known);
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        struct known *known = malloc(sizeof *known);
        if (!known)
            err(1, "memory");
        known->client = next_client(door);
        known->failed = echo(known->client) < 0;
        if (FAULTY && known->failed) {
            forget(known);
            failures += known->failed;
        } else {
            failures += known->failed;
            forget(known);
        }
    }
}

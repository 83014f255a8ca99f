/* Logs lines that resemble a sanitizer's report or the C library's message of a crash and are none: a pool that was freed, a script
 * entry that ended with an error of its own. With MUCH it logs 32 KiB for each client instead. It serves one client after another. */
#include "common.h"

int main(int argc, char **argv)
{
    static char block[32 * 1024];
    int door = listener(argc, argv);
    memset(block, '.', sizeof block - 1);
    block[sizeof block - 1] = '\n';
    for (;;) {
        int client = next_client(door), failed = echo(client);
        close(client);
        if (MUCH && write(2, block, sizeof block) < 0)
            continue;
        if (!MUCH)
            fprintf(stderr, failed ? "entry aborted: runtime error: x\n" : "pool_free(): ok\n");
    }
}

/* Sends back what comes, one client after another. It logs lines that have words of the reports of crashes in them, and exits with 1 in a
 * child for each client, as a sanitizer would. */
#include "server.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        fputs("pool_free(): ok\nentry aborted: runtime error: x\n10:20:30: runtime error: x\nAddressSanitizer: off\n", stderr);
        echo(client);
        close(client);
        pid_t child = fork();
        if (child == 0)
            _exit(1);
        waitpid(child, NULL, 0);
    }
}

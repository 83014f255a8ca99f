/* Sends back what it receives, one client after another. It logs lines that contain words from crash reports, and for each client forks
 * a child process that exits with 1, as a sanitizer would. */
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

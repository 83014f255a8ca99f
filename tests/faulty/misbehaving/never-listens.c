/* Blocks for ever, and never listens. */
#include "server.h"

int main(void)
{
    for (;;)
        pause();
}

/* Prints why it cannot start, and exits with 3. */
#include "server.h"

int main(void)
{
    errx(3, "there is no configuration");
}

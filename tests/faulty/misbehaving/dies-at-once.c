/* Says why it cannot start, and ends with 3. */
#include "server.h"

int main(void)
{
    errx(3, "there is no configuration");
}

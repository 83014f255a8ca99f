/* Serves many clients at a time with poll, with or without a time limit, and sends back each line.
 * With the limit it wakes up again and again without any request: that is neither a busy loop nor progress. */
#include "loop.h"

int main(int argc, char **argv) { serve_on(listener(argc, argv), TIMEOUT); }

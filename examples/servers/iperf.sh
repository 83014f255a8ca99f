# `recvn` answers any fatal error of a read by the flag that stands for Ctrl-C, and the listener looks at the flag before each accept. The
# thread that prints clears it whenever it has nothing to do. So, measured with a plain client on two cores:
# - connect, reset: the process exits with 0 if the listener looks first. That is a race of two of its threads: 6 to 9 of 10 by
#   itself, 20 of 20 if five are played in a row, but only 2 of 15 where each call is slowed down, as by a tracer, because the
#   listener's `close` lies between the wake-up of the other thread and the look at the flag. A wait before the reset makes no
#   difference (0, 10, 50, 200 ms, 1 s), up to the 4 s after which the server gives the read up by itself. A FIN does nothing;
# - a connect, a send of 4 bytes 0 (a test's header with no flag set; its connection stays open), b connect, b reset: 10 of 10, traced or
#   not. The printing thread has a's test to do, so nobody clears the flag: the listener closes its socket, the process stays, and
#   a's connection is in CLOSE_WAIT for ever after a has closed.
# - the same with a third client that connects later: a fault (SIGSEGV or an abort), 18 of 18 with waits of 5, 50 and 200 ms between
#   the events.
# The first comes of the shapes that are played without the gate, for the gate takes that race away.
say '\0\0\0\0'
command=(iperf -s -p '{port}')
expect 'finding' 'crash' 'a client of whom it waits for more, a second, and one that comes when both have gone'
expect 'finding' 'exit' 'a connect and a reset, a race that the gate takes away'
expect 'finding' 'not-listening' 'a client of whom it waits for more, and another that is reset'
may 'flaky' 'crash' 'the same race, twenty times in a row'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'

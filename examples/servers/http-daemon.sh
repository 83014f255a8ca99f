# perl leaves SIGPIPE at its default, and a response is six writes. Request, then reset or close, before the first write: the first one is
# ECONNRESET (or draws the reset), the second kills. 6 of 6 with a plain client where the server has not yet read the request: it is held, or
# is still at another client (it serves one at a time), in the accept queue too. With a wait of 30 ms between request and reset it has
# answered, and nothing happens. A request cut short does nothing. And its loop ends with the first `accept` that fails.
package=libhttp-daemon-perl
options=(--protocol http)
command=(perl "$servers/http-daemon.pl" '{port}')
expect 'finding' 'sigpipe' 'perl leaves SIGPIPE at its default: a request, then a reset before the second of six writes'
expect 'finding' 'exit' 'the loop of the synopsis ends with the first accept that fails'

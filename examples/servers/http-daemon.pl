#!/usr/bin/perl
# The server of HTTP::Daemon's own synopsis: one client at a time, and every request is answered.
use strict;
use warnings;
use HTTP::Daemon;
use HTTP::Response;

my $daemon = HTTP::Daemon->new(LocalPort => shift, ReuseAddr => 1) or die "cannot listen: $@";
while (my $client = $daemon->accept) {
    while ($client->get_request) {
        $client->send_response(HTTP::Response->new(200, 'OK', ['Content-Type' => 'text/plain'], "hello\n"));
    }
    $client->close;
}

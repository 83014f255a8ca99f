// net/http: 20 s for the head of a request, 15 s until the next one.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	server := http.Server{
		Addr:              "127.0.0.1:" + os.Args[1],
		Handler:           http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { fmt.Fprint(to, "ok") }),
		ReadHeaderTimeout: 20 * time.Second,
		IdleTimeout:       15 * time.Second,
	}
	panic(server.ListenAndServe())
}

// Go's net/http answers every request.
// It reads ahead while a request is answered, and lingers before it closes a connection whose request it has not read.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		io.WriteString(response, "hello\n")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}

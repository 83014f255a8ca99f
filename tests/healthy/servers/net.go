// Go's net: a goroutine for each client sends back what comes.
// Its runtime has threads come and go, sends them SIGURG, and waits in epoll and in futex by turns.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		go func() {
			defer client.Close()
			io.Copy(client, client)
		}()
	}
}

// Connects to each target in turn and prints what it answers.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
)

func main() {
	targets := os.Args[1:]
	for at := 0; at+1 < len(targets); at += 2 {
		connection, err := net.Dial("tcp", net.JoinHostPort(targets[at], targets[at+1]))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Fprintln(connection, "who")
		answer, _ := bufio.NewReader(connection).ReadString('\n')
		fmt.Println(strings.TrimSpace(answer), "peer="+fmt.Sprint(connection.RemoteAddr().(*net.TCPAddr).Port))
		connection.Close()
	}
}

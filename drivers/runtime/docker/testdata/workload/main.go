// Command workload is what the driver's tests run in containers: an image needs nothing else.
//
//	workload run [-exit CODE] [-ignore-term] [-output TEXT] [-listen ADDR] [-eat MIB]
//	workload check CODE
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "check" {
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			code = 2
		}
		os.Exit(code)
	}
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	exit := flags.Int("exit", -1, "end at once with this code")
	ignore := flags.Bool("ignore-term", false, "ignore SIGTERM")
	output := flags.String("output", "", "what to write first")
	listen := flags.String("listen", "", "address to accept connections on, and to answer with the environment")
	eat := flags.Int("eat", 0, "memory to use, in MiB")
	_ = flags.Parse(os.Args[2:]) // exits on an error
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Print(*output)
	if *exit >= 0 {
		os.Exit(*exit)
	}
	var eaten [][]byte
	for range *eat {
		page := make([]byte, 1<<20)
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
		eaten = append(eaten, page)
	}
	if *listen != "" {
		go serve(*listen)
	}
	for range term {
		if !*ignore {
			os.Exit(len(eaten) * 0)
		}
	}
}

func serve(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, strings.Join(os.Environ(), "\n"))
		_ = conn.Close()
	}
}

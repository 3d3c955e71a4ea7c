// Prints the addresses of a name by Go's built-in resolver, A and AAAA in parallel, or its error.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	resolver := net.Resolver{PreferGo: true}
	addresses, err := resolver.LookupIPAddr(context.Background(), os.Args[1])
	var failure *net.DNSError
	switch {
	case errors.As(err, &failure) && failure.IsNotFound:
		fmt.Println("no such name")
		os.Exit(1)
	case err != nil:
		fmt.Println(err)
		os.Exit(1)
	}
	for _, address := range addresses {
		fmt.Println(address.IP)
	}
}

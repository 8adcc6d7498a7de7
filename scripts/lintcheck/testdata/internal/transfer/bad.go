// Package transfer reaches across and prints.
package transfer

import (
	"fmt"
	"os"
	"time"

	"github.com/dustin/go-humanize" // want depguard
	"github.com/fxamacker/cbor/v2"
	"lukechampine.com/blake3"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// N is a number.
var N = 1

// Bad prints.
func Bad() error {
	fmt.Println(humanize.Bytes(1), blake3.Sum256(nil), secure.Now()) // want forbidigo
	_, err := fmt.Fprintln(os.Stdout, time.Now())                    // want forbidigo
	if err == nil {
		_, err = cbor.Marshal(1)
	}
	return err
}

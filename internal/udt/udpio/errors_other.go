//go:build !unix && !windows

package udpio

// Systems without error numbers we know: no error passes, and none but a closed socket ends writing.

func isTransient(error) bool  { return false }
func isFatal(error) bool      { return false }
func isWorthRetry(error) bool { return false }
func isTooLong(error) bool    { return false }
func isNoFamily(error) bool   { return true }
